/**
 * Profon, the Procom dialler: wires the page to the SDK.
 *
 *     sign in --> Session --calls, incoming--> records --draw--> stage, strip, sheet, dialler
 *       ^                                         ^
 *       '-- #TOKEN in the address                 '-- presses
 *
 * A token in the URL's fragment signs in at once and is removed from the address bar; `to` beside it stands in the
 * address field then. The query `?raw-audio=1`
 * turns echo cancellation, noise suppression and gain control off: for measurements and for musicians.
 * @module profon
 */

import { byId, say, show } from "./profon/dom.js";
import { hasRoom, inFront, toHold, waiting } from "./profon/desk.js";
import { Dialler } from "./profon/dialler.js";
import { CallRecord } from "./profon/record.js";
import { IncomingSheet } from "./profon/sheet.js";
import { drawStage, drawTimer } from "./profon/stage.js";
import { Talk, addressOf } from "./profon/talk.js";
import { Tones } from "./profon/tones.js";
import { ECHO, nameOf, shortAddress, wordsOfConnection, wordsOfProspect, wordsOfSignIn, wordsOfTransfer } from "./profon/words.js";
import { connect, deviceName } from "./procom.js";

const TICK_MS = 500;
const isRawAudio = new URLSearchParams(location.search).get("raw-audio") === "1";
const AUDIO = Object.freeze({
  echoCancellation: !isRawAudio, noiseSuppression: !isRawAudio, autoGainControl: !isRawAudio,
});

/** The page: one session, its calls, and what is shown of them. */
class Profon {
  /** @type {import("./procom.js").Session|null} */
  session = null;
  /** What is known of each live call, and of the ended one that is still shown. @type {Map<string, CallRecord>} */
  #records = new Map();
  /** @type {import("./procom.js").Call|null} */
  #front = null;
  #tones = new Tones();
  #talk = new Talk((peer) => this.#talkingWith(peer));
  #audio = byId("remote-audio");
  #hasEarlySound = false;
  #isSilenced = false;
  #dialler = new Dialler({
    dial: (address) => this.#dial(address),
    draft: (address) => this.#explain(address),
    digit: (digit) => this.#sendDigit(digit),
    key: (digit) => this.#tones.key(digit),
  });
  #sheet = new IncomingSheet({
    answer: (call) => this.#answer(call),
    decline: (call) => call.end("declined"),
    silence: () => {
      this.#isSilenced = true;
      this.#tones.stop();
    },
  });

  start() {
    const press = (id, action) => byId(id).addEventListener("click", () => action());
    byId("sign-in-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#signInByForm();
    });
    press("sign-out", () => this.session?.close());
    press("problem-close", () => this.#report(""));
    press("mute", () => this.#front?.mute(!this.#front.isMuted));
    press("hold", () => this.#toggleHold());
    press("hang-up", () => this.#front?.end());
    press("write", () => this.#writeTo(byId("address").value));
    byId("call-text-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#writeInCall();
    });
    press("write-them", () => this.#front && this.#writeTo(this.#front.peer));
    press("call-again", () => this.#front && this.#dial(this.#front.peer));
    press("keypad-toggle", () => this.#toggleKeypad());
    press("transfer-toggle", () => this.#toggleTransfer());
    press("add-call", () => this.#showPane("dialler"));
    press("return-to-call", () => this.#showPane("call"));
    byId("calls").addEventListener("click", (event) => this.#switchTo(event.target.dataset.switch));
    byId("transfer-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#transfer({ to: byId("transfer-to").value.trim() });
    });
    byId("transfer-with").addEventListener("click", (event) => {
      const other = this.session?.calls.get(event.target.dataset.with);
      if (other) this.#transfer({ with: other });
    });
    addEventListener("hashchange", () => this.#signInByFragment());
    setInterval(() => this.#tick(), TICK_MS);
    this.#drawConnection("idle");
    this.#draw();
    if (!this.#signInByFragment()) byId("sign-in-user").focus();
  }

  /** @returns {boolean} whether the address held a token */
  #signInByFragment() {
    const { token, to } = decodeFragment(location.hash);
    if (!token) return false;
    // Out of sight and out of the history before anything else happens.
    history.replaceState(null, "", location.pathname + location.search);
    this.session?.close();
    this.#signIn({ token }).then(() => {
      // Not dialled by itself: a link must not place calls.
      if (to && this.session) this.#dialler.offer(to);
    });
    return true;
  }

  #signInByForm() {
    const user = byId("sign-in-user").value.trim();
    const password = byId("sign-in-password").value;
    if (user && password) this.#signIn({ user, password });
  }

  async #signIn(credentials) {
    const submit = byId("sign-in-submit");
    submit.disabled = true;
    this.#report("");
    this.#drawConnection("connecting");
    try {
      this.#adopt(await connect({ ...credentials, device: deviceName(storage()) }));
    } catch (error) {
      this.#drawConnection("closed");
      this.#report(wordsOfSignIn(error));
      byId("sign-in-password").focus();
    } finally {
      submit.disabled = false;
      byId("sign-in-password").value = "";
    }
  }

  #adopt(session) {
    this.session = session;
    const on = (type, take) => session.addEventListener(type, ({ detail }) => {
      if (this.session === session) take(detail);
    });
    on("state", ({ state }) => this.#drawConnection(state));
    on("incoming", ({ call }) => this.#handleIncoming(call));
    on("refused", (error) => this.#report(error.reason || error.code));
    on("lost", () => this.#report("The connection was gone for too long, so calls have ended. Sign-in is renewed by itself."));
    on("closed", (error) => this.#handleClosed(error));
    this.#talk.adopt(session);
    this.#drawConnection(session.state);
    say("own-address", shortAddress(session.address ?? ""));
    this.#draw();
    this.#dialler.focus();
  }

  #handleClosed(error) {
    this.session = null;
    this.#talk.adopt(null);
    this.#records.clear();
    this.#front = null;
    say("own-address", "");
    this.#drawConnection("closed");
    this.#draw();
    if (error) this.#report(wordsOfSignIn(error));
    byId("sign-in-user").focus();
  }

  #dial(address) {
    if (!this.session) return;
    this.#report("");
    if (this.session.calls.size > 0 && !hasRoom([...this.session.calls.values(), null])) {
      return this.#report("There are too many calls at once. End one of them first.");
    }
    const call = this.session.call(address, { audio: AUDIO, channel: true });
    this.#holdOthers(call);
    this.#follow(call);
    this.#dialler.clear();
    this.#bringToFront(call);
  }

  /** What a call would become, by what the gateway knows without asking others. */
  async #explain(address) {
    if (this.session?.state !== "connected") return "";
    try {
      return wordsOfProspect(await this.session.explain(address));
    } catch {
      // Said too fast, or to a gateway that does not explain: the hint stays as it is.
      return "";
    }
  }

  #writeTo(address) {
    if (this.session && address.trim()) this.#talk.open(address);
    else this.#dialler.focus();
    this.#draw();
  }

  #writeInCall() {
    const field = byId("call-text");
    if (!this.#front || field.value.trim() === "") return;
    this.#talk.write(this.#front.peer, field.value);
    field.value = "";
    this.#draw();
  }

  /** @returns {import("./procom.js").Call|null} the call that goes on with that address */
  #talkingWith(peer) {
    const isWith = (call) => isTalking(call) && call.peer !== ECHO && addressOf(call.peer) === peer;
    return this.#calls().find(isWith) ?? null;
  }

  #handleIncoming(call) {
    if (!hasRoom([...this.session.calls.values()])) return call.end("busy");
    this.#isSilenced = false;
    this.#follow(call);
    this.#draw();
  }

  #answer(call) {
    this.#holdOthers(call);
    call.answer({ audio: AUDIO, channel: true });
    this.#bringToFront(call);
  }

  #bringToFront(call) {
    this.#front = call;
    this.#hasEarlySound = false;
    byId("transfer-form").hidden = true;
    this.#showPane("call");
    byId("call-peer").focus({ preventScroll: true });
  }

  #switchTo(id) {
    const call = this.session?.calls.get(id);
    if (!call) return;
    this.#holdOthers(call);
    if (call.details.isHeldHere) call.resume();
    this.#bringToFront(call);
  }

  #holdOthers(call) {
    for (const other of toHold([...(this.session?.calls.values() ?? [])], call)) other.hold();
  }

  #toggleHold() {
    const call = this.#front;
    if (!call) return;
    if (!call.details.isHeldHere) return call.hold();
    this.#holdOthers(call);
    call.resume();
  }

  #sendDigit(digit) {
    this.#front?.sendDigit(digit);
  }

  #transfer(target) {
    if (!this.#front || ("to" in target && !target.to)) return;
    this.#front.transfer(target);
    byId("transfer-to").value = "";
    byId("transfer-form").hidden = true;
    this.#draw();
    byId("transfer-toggle").focus();
  }

  #toggleTransfer() {
    const form = byId("transfer-form");
    form.hidden = !form.hidden;
    this.#draw();
    if (!form.hidden) byId("transfer-to").focus();
  }

  #toggleKeypad() {
    const isOpen = document.body.dataset.keypad !== "open";
    document.body.dataset.keypad = isOpen ? "open" : "closed";
    byId("keypad-toggle").setAttribute("aria-expanded", String(isOpen));
    if (isOpen) byId("keypad").querySelector("button").focus();
  }

  /** @param {"dialler"|"call"} pane which of the two a small window shows */
  #showPane(pane) {
    document.body.dataset.pane = pane;
    if (document.body.dataset.keypad === "open") this.#toggleKeypad();
    this.#draw();
    if (pane === "dialler") this.#dialler.focus();
  }

  #follow(call) {
    const record = new CallRecord(call, () => this.#draw());
    this.#records.set(call.id, record);
    call.addEventListener("channel", () => this.#talk.handleCalls());
    call.addEventListener("refused", ({ detail }) => this.#report(detail.reason || detail.code));
    call.addEventListener("transferred", ({ detail }) => this.#report(wordsOfTransfer(detail.outcome, shortAddress(String(detail.to)))));
  }

  #calls() {
    return [...this.#records.values()].map((record) => record.call);
  }

  /** Draws everything anew from the state of the calls; drawing what is there already changes nothing. */
  #draw() {
    const live = this.#calls().filter((call) => !call.isEnded);
    const before = this.#front;
    this.#front = inFront(live, before);
    const wasDrawnEnded = document.body.dataset.view === "ended";
    if (before?.isEnded && this.#front !== before && !wasDrawnEnded) this.#report(`The call with ${nameOf(before)} has ended.`);
    for (const [id, { call }] of this.#records) if (call.isEnded && call !== this.#front) this.#records.delete(id);
    const front = this.#front;
    const isLive = front !== null && !front.isEnded && front.state !== "incoming";
    document.body.dataset.view = !this.session ? "sign-in" : isLive ? "call" : front?.isEnded ? "ended" : "idle";
    const hadFocus = byId("stage").contains(document.activeElement);
    const others = [...this.#records.values()].filter(({ call }) => call !== front && call.state !== "incoming");
    drawStage(front ? this.#records.get(front.id) ?? null : null, others);
    drawTransferWith(others.map(({ call }) => call));
    show("return-to-call", isLive);
    const hasField = isLive && isTalking(front) && front.peer !== ECHO && !this.#talk.shows(front.peer);
    show("call-text-form", hasField);
    show("write-them", isLive && !isTalking(front) && front.peer !== ECHO);
    if (hasField) byId("call-text").placeholder = `Write to ${nameOf(front)}`;
    this.#talk.handleCalls();
    if (isLive) say("return-text", `Return to ${nameOf(front)}`);
    // What had the focus may be gone now; the reader stays at the call instead of falling to the top of the page.
    if (hadFocus && !isIn(byId("stage"), document.activeElement)) byId("call-peer").focus({ preventScroll: true });
    this.#drawPad(front);
    this.#drawSheet(live, isLive);
    this.#drawTitle(live);
    this.#listen(front);
  }

  #drawPad(front) {
    const takesDigits = front?.state === "in-call" && document.body.dataset.pane === "call";
    this.#dialler.listen(takesDigits ? { id: front.id, name: nameOf(front) } : null);
  }

  #drawSheet(live, isTalking) {
    const call = waiting(live);
    this.#sheet.ask(call, isTalking);
    if (call && !this.#isSilenced) {
      if (isTalking) this.#tones.knock();
      else this.#tones.ring();
    } else if (this.#front?.state === "ringing" && !this.#hasEarlySound) this.#tones.ringBack();
    else this.#tones.stop();
  }

  #drawTitle(live) {
    const incoming = waiting(live);
    if (incoming) document.title = `${nameOf(incoming)} is calling`;
    else document.title = this.#front && !this.#front.isEnded ? `${nameOf(this.#front)} - Profon` : "Profon";
  }

  #drawConnection(state) {
    byId("connection").dataset.state = state;
    say("connection-text", wordsOfConnection(state));
  }

  /** Lets the call in front be heard, and only that one. */
  #listen(front) {
    const stream = front && !front.isEnded ? front.stream : null;
    if (this.#audio.srcObject === stream) return;
    this.#audio.srcObject = stream;
    if (!stream) return;
    this.#audio.play().catch((error) => {
      if (error.name !== "NotAllowedError") return;
      this.#report("The browser keeps the sound off until you press a key or touch this page.");
      for (const type of ["pointerdown", "keydown"]) addEventListener(type, () => this.#audio.play(), { once: true });
    });
  }

  #report(text) {
    say("problem-text", text);
    show("problem", text !== "");
  }

  async #tick() {
    const call = this.#front;
    drawTimer(call);
    if (call?.state !== "ringing" || this.#hasEarlySound) return;
    // Sound from the far side before the answer (an announcement, its own ringback) replaces ours.
    const reports = [...(await call.connection.getStats()).values()];
    const isHeard = reports.some((report) => report.type === "inbound-rtp" && report.packetsReceived > 0);
    if (!isHeard || call !== this.#front) return;
    this.#hasEarlySound = true;
    this.#draw();
  }
}

function isTalking(call) {
  return call.state === "in-call" || call.state === "held";
}

function drawTransferWith(others) {
  const buttons = others.map((call) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "secondary";
    button.dataset.with = call.id;
    button.textContent = `Connect them with ${nameOf(call)}`;
    return button;
  });
  byId("transfer-with").replaceChildren(...buttons);
}

/** Browsers differ in whether an element that was just hidden still counts as having the focus. */
function isIn(region, element) {
  return region.contains(element) && !element.closest("[hidden]");
}

/** @returns {Storage|null} none where the browser allows none */
function storage() {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}

/** @returns {{token: string, to: string}} the token bare, or as `token=...` with `to=...` */
function decodeFragment(hash) {
  const text = hash.slice(1);
  if (text.startsWith("token=")) {
    const parts = new URLSearchParams(text);
    return { token: parts.get("token") ?? "", to: parts.get("to") ?? "" };
  }
  try {
    return { token: decodeURIComponent(text), to: "" };
  } catch {
    return { token: text, to: "" };
  }
}

const profon = new Profon();
profon.start();

/** For looking at, by tests and curious people: the SDK session and its calls. Not an interface to build on. */
Object.defineProperty(window, "profon", {
  value: Object.freeze({
    get session() { return profon.session; },
    get calls() { return [...(profon.session?.calls.values() ?? [])]; },
  }),
});
