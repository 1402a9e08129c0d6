/**
 * Messages in Profon: one conversation for each person, the one in front shown. Nothing is stored.
 *
 *     session --message, status, composing--> Talk --draw--> card below the call
 *     person --send--> Talk --sendMessage, read--> session
 *                           --sendText--> the call, while one with that address goes on
 *
 * @module profon/talk
 */

import { wordsOfStatus, wordsOfTime } from "../prochat/words.js";
import { Typing, Typist } from "../sdk/composing.js";
import { byId, make, say, show } from "./dom.js";
import { Threads } from "./threads.js";
import { shortAddress } from "./words.js";

/** The card with the conversations of one session. */
export class Talk {
  /** @type {import("../procom.js").Session|null} */
  #session = null;
  #threads = new Threads();
  /** The one that is shown. @type {import("./threads.js").Thread|null} */
  #front = null;
  /** @type {(peer: string) => import("../sdk/call.js").Call|null} */
  #callWith;
  #typing = new Typing((isOn) => {
    const call = this.#call;
    if (call) call.setComposing(isOn);
    else if (this.#front) this.#session?.setComposing(this.#front.peer, isOn);
  });
  #typist = new Typist((isOn) => say("talk-typing", isOn ? "They are writing" : ""));

  /** @param {(peer: string) => import("../sdk/call.js").Call|null} callWith the call that goes on with an address */
  constructor(callWith) {
    this.#callWith = callWith;
    const field = byId("talk-text");
    field.addEventListener("input", () => this.#typing.input(field.value.trim() !== ""));
    byId("talk-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#write(field.value);
      field.value = "";
    });
    byId("talk-peers").addEventListener("click", ({ target }) => {
      const thread = this.#threads.all[Number(target.dataset.thread)];
      if (thread !== undefined) this.#bring(thread);
      byId("talk-text").focus();
    });
    document.addEventListener("visibilitychange", () => this.#markRead());
  }

  /** @param {import("../procom.js").Session|null} session whose messages these are; another one begins with none */
  adopt(session) {
    this.#session = session;
    this.#threads.clear();
    this.#front = null;
    this.#draw();
    const on = (type, take) => session?.addEventListener(type, ({ detail }) => {
      if (this.#session === session) take(detail);
    });
    on("message", (object) => this.#handleMessage(object));
    on("status", (object) => this.#handleStatus(object));
    on("refused", ({ id, reason }) => {
      if (id) this.#handleStatus({ id, status: "failed", reason });
    });
    on("composing", (object) => {
      if (this.#front?.addresses.has(object.with)) this.#typist.handle(object.on === true);
    });
  }

  /** Brings a conversation to the front. @param {string} typed an address, a number, a name */
  open(typed) {
    const address = addressOf(typed);
    const thread = this.#threads.open(address);
    // Who names an address means it; who goes on with a conversation means where it was last heard from.
    thread.peer = address;
    this.#bring(thread);
    byId("talk-text").focus();
  }

  /**
   * Writes to somebody, and brings that conversation to the front.
   * @param {string} typed
   * @param {string} text
   */
  write(typed, text) {
    if (text.trim() === "") return;
    this.open(typed);
    this.#write(text);
  }

  /** Whether the conversation with that address is in front. @param {string} typed */
  shows(typed) {
    return this.#front?.addresses.has(addressOf(typed)) ?? false;
  }

  /** A call began, ended, or its channel opened or closed. */
  handleCalls() {
    this.#drawTitle();
  }

  /** The call that goes on with whom the conversation in front is with. */
  get #call() {
    for (const address of this.#front?.addresses ?? []) {
      const call = this.#callWith(address);
      if (call) return call;
    }
    return null;
  }

  #bring(thread) {
    this.#typing.stop();
    this.#typist.handle(false);
    this.#front = thread;
    this.#draw();
    this.#markRead();
  }

  #write(text) {
    if (text.trim() === "" || this.#session === null || this.#front === null) return;
    const { transcript, peer } = this.#front;
    const entry = transcript.write(text, Date.now());
    this.#typing.sent();
    try {
      const call = this.#call;
      if (call) call.sendText(text, { id: entry.id });
      else this.#session.sendMessage(peer, text, { id: entry.id });
    } catch (error) {
      this.#handleStatus({ id: entry.id, status: "failed", reason: error.reason ?? error.message });
    }
    this.#draw();
  }

  #handleMessage(object) {
    const isOwn = object.from === this.#session.address;
    // Who answers in a call goes on there, also from another address, as phones do.
    const call = isOwn ? undefined : this.#session.calls.get(object.call);
    const { thread, isNew } = this.#threads.receive(object, isOwn, call && addressOf(call.peer));
    if (!isNew) return;
    if (!this.#threads.all.includes(this.#front)) this.#front = thread;
    if (thread === this.#front && !isOwn) this.#typist.handle(false);
    this.#draw();
    // After the acknowledgement, which the SDK sends when this handler is done.
    queueMicrotask(() => this.#markRead());
  }

  #handleStatus(object) {
    const thread = this.#threads.settle(object);
    if (thread === null) return;
    // What was in front has turned out to be part of another one.
    if (this.#front !== null && !this.#threads.all.includes(this.#front)) {
      thread.peer = this.#front.peer;
      this.#front = thread;
    }
    this.#draw();
  }

  #markRead() {
    if (document.visibilityState !== "visible" || this.#session === null || this.#front === null) return;
    const fresh = this.#front.transcript.markRead();
    for (const { id } of fresh) this.#session.markRead(id);
    if (fresh.length > 0) this.#draw();
  }

  #drawTitle() {
    say("talk-title", `Messages with ${shortAddress(this.#front?.peer ?? "")}`);
    show("talk-in-call", this.#call?.hasChannel ?? false);
  }

  #draw() {
    show("talk", this.#front !== null);
    if (this.#front === null) return;
    const { transcript, addresses } = this.#front;
    this.#drawTitle();
    byId("talk-peers").replaceChildren(...this.#threads.all.flatMap((thread, place) => {
      if (thread === this.#front) return [];
      const { unread } = thread.transcript;
      const words = `${shortAddress(thread.peer)}${unread > 0 ? `, ${unread} new` : ""}`;
      return [make("button", { type: "button", class: "quiet", "data-thread": String(place) }, words)];
    }));
    const log = byId("talk-log");
    // What is there already stays, so that a reader speaks only what is new.
    transcript.entries.forEach((entry, index) => drawEntry(byId("talk-list"), entry, index, addresses.size > 1));
    for (const stale of [...byId("talk-list").children].slice(transcript.entries.length)) stale.remove();
    log.scrollTop = log.scrollHeight;
  }
}

function drawEntry(list, entry, index, hasAddresses) {
  const known = list.children[index];
  const time = wordsOfTime(entry.at_ms);
  const words = entry.isOwn ? `${time} · ${wordsOfStatus(entry.status)}` : [time, ...wordsOfSender(entry, hasAddresses)].join(" · ");
  const fate = entry.status === "failed" ? `${wordsOfStatus("failed")}. ${entry.reason}` : words;
  const isSame = known?.dataset.id === entry.id;
  const item = isSame ? known : make("li", { "data-id": entry.id },
    make("p", { class: "said", dir: "auto" }, make("span", { class: "unseen" }, entry.isOwn ? "You: " : "They: "), entry.text),
    make("p", { class: "small" }));
  item.className = entry.isOwn ? "mine" : "theirs";
  item.dataset.status = entry.status;
  if (item.lastElementChild.textContent !== fate) item.lastElementChild.textContent = fate;
  if (isSame) return;
  if (known) known.replaceWith(item);
  else list.append(item);
}

/** By which address it came, where there are several, and whether that is only a claim. */
function wordsOfSender({ from, isVerified }, hasAddresses) {
  return [...(hasAddresses ? [`from ${shortAddress(from)}`] : []), ...(isVerified ? [] : ["sender not proven"])];
}

/** @param {string} typed @returns {string} the URI the gateway makes of it, so that answers meet what was written */
export function addressOf(typed) {
  const text = typed.trim();
  if (/^(procom|sips?|tel|sms|xmpp):/i.test(text)) return text;
  const number = text.replace(/[\s\u00a0().\/-]/g, "");
  if (/^\+?[\d*#]+$/.test(number)) return `tel:${number}`;
  return text.includes("@") ? `xmpp:${text}` : `procom:${text}`;
}
