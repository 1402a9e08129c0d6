/**
 * `<procom-chat>`: one conversation with one address, over the SDK.
 *
 *     attributes --> ProcomChat --sendMessage, ack, read--> Session --> gateway
 *                       |  ^
 *                    draws View, keeps Transcript
 *
 * @module prochat/element
 */

import { connect, gatewayOf } from "../procom.js";
import { Typing, Typist } from "../sdk/composing.js";
import { plainAddress } from "../sdk/display.js";
import { Transcript } from "./transcript.js";
import { View } from "./view.js";
import { wordsOfTrouble } from "./words.js";

const FIRST_RETRY_MS = 2000;
const LONGEST_RETRY_MS = 30_000;
/** What may pass with time, so that it is tried again unasked. */
const PASSING = new Set(["unreachable", "overload", "too-many-sessions", "closed"]);
const POPUP = "popup,width=420,height=780,noopener";

/**
 * Attributes: `token` (a guest's), `to`, `heading`, `greeting`, `theme` (`light`, `dark`), `side` (`left`), `open`,
 * `call` (`off`), `gateway` (an `https:` URL; the one this script came from when left out). Fires `procom-state` (`detail.state`), `procom-message` (`detail`: how many are unread) and
 * `procom-refused` (`detail.code`): a page with short-lived tokens sets a new `token` then.
 */
export class ProcomChat extends HTMLElement {
  static observedAttributes = ["token", "to", "heading", "greeting", "call", "open"];

  #root = this.attachShadow({ mode: "open" });
  #view = null;
  /** @type {Transcript|null} */
  #transcript = null;
  /** @type {import("../procom.js").Session|null} */
  #session = null;
  #isConnecting = false;
  #retryMs = FIRST_RETRY_MS;
  #retryTimer = null;
  #typing = new Typing((isOn) => this.#session?.setComposing(this.#to, isOn));
  #typist = new Typist((isOn) => this.#view?.drawTyping(isOn));
  #look = () => this.#markRead();

  connectedCallback() {
    this.#view ??= new View(this.#root, {
      open: () => this.show(),
      close: () => this.hide(),
      send: (text) => this.#write(text),
      typing: (hasText) => this.#typing.input(hasText),
      call: () => this.#call(),
      retry: (id) => this.#retry(id),
      again: () => this.#begin(),
    });
    if (this.#transcript === null) this.#restore();
    this.#drawSettings();
    this.#view.drawConnection(this.state);
    this.#view.drawNotice("");
    this.#view.drawTyping(false);
    this.#view.drawOpen(this.isOpen);
    document.addEventListener("visibilitychange", this.#look);
    // Answers to what was written on the page before this one should come.
    if (this.isOpen || !this.#transcript.isEmpty) this.#begin();
  }

  disconnectedCallback() {
    clearTimeout(this.#retryTimer);
    document.removeEventListener("visibilitychange", this.#look);
    this.#session?.close();
  }

  attributeChangedCallback(name, before, after) {
    if (this.#view === null || before === after) return;
    if (name === "open") return this.#handleOpened();
    if (name === "token" && this.#session === null && (this.isOpen || !this.#transcript.isEmpty)) this.#begin();
    this.#drawSettings();
  }

  /** Whether the panel is shown. */
  get isOpen() {
    return this.hasAttribute("open");
  }

  /** @returns {string} of the connection, as the SDK names it */
  get state() {
    if (this.#session !== null) return this.#session.state;
    return this.#isConnecting ? "connecting" : "idle";
  }

  /** Shows the panel. */
  show() {
    this.setAttribute("open", "");
    this.#view?.field.focus();
  }

  /** Hides the panel; the conversation goes on. */
  hide() {
    this.removeAttribute("open");
    this.#view?.launch.focus();
  }

  get #gateway() {
    return gatewayOf(this.getAttribute("gateway") ?? import.meta.url);
  }

  get #to() {
    return this.getAttribute("to") ?? "";
  }

  #restore() {
    const key = `procom-chat ${new URL(this.#gateway).host} ${this.#to}`;
    this.#transcript = new Transcript(storage(), key);
    for (const entry of this.#transcript.entries) this.#view.drawEntry(entry, plainAddress(this.#to));
    this.#view.drawUnread(this.#transcript.unread);
  }

  #drawSettings() {
    this.#view.drawSettings({
      title: this.getAttribute("heading") ?? "Chat with us",
      greeting: this.getAttribute("greeting") ?? "",
      hasCall: this.getAttribute("call") !== "off",
    });
  }

  #handleOpened() {
    this.#view.drawOpen(this.isOpen);
    if (!this.isOpen) return this.#typing.stop();
    this.#begin();
    this.#markRead();
  }

  async #begin() {
    clearTimeout(this.#retryTimer);
    const token = this.getAttribute("token") ?? "";
    if (this.#session !== null || this.#isConnecting || token === "" || this.#to === "") return;
    this.#isConnecting = true;
    this.#drawState();
    try {
      const session = await connect({ url: this.#gateway, token, visitor: this.#transcript.visitor });
      this.#isConnecting = false;
      this.#adopt(session);
    } catch (error) {
      this.#isConnecting = false;
      this.#handleTrouble(error);
    }
  }

  #adopt(session) {
    if (!this.isConnected) return session.close();
    this.#session = session;
    this.#retryMs = FIRST_RETRY_MS;
    this.#view.drawNotice("");
    const on = (type, take) => session.addEventListener(type, ({ detail }) => take(detail));
    on("state", () => this.#drawState());
    on("message", (object) => this.#handleMessage(object));
    on("status", (object) => this.#handleStatus(object));
    on("composing", (object) => this.#handleComposing(object));
    on("refused", ({ id, reason }) => {
      if (id) this.#handleStatus({ id, status: "failed", reason });
    });
    on("closed", (error) => {
      this.#session = null;
      this.#handleTrouble(error ?? { code: "closed" });
    });
    this.#drawState();
    for (const entry of this.#transcript.unsettled) this.#send(entry);
    this.#markRead();
  }

  #handleTrouble(error) {
    this.#drawState();
    if (!this.isConnected) return;
    const isPassing = PASSING.has(error.code);
    this.#view.drawNotice(error.code === "closed" ? "" : wordsOfTrouble(error), !isPassing && error.code !== "insecure-url");
    this.#tell("procom-refused", { code: error.code ?? "failed" });
    if (!isPassing) return;
    this.#retryTimer = setTimeout(() => this.#begin(), this.#retryMs);
    this.#retryMs = Math.min(LONGEST_RETRY_MS, this.#retryMs * 2);
  }

  #write(text) {
    const entry = this.#transcript.write(text, Date.now());
    this.#typing.sent();
    this.#view.drawEntry(entry, this.#to);
    if (this.#session === null) return this.#begin();
    this.#send(entry);
  }

  #send(entry) {
    try {
      this.#session.sendMessage(this.#to, entry.wire ?? entry.text, { id: entry.id });
    } catch (error) {
      this.#handleStatus({ id: entry.id, status: "failed", reason: error.reason ?? error.message });
    }
  }

  #retry(id) {
    const entry = this.#transcript.entries.find((one) => one.id === id);
    if (!entry) return;
    this.#transcript.retry(entry);
    this.#view.drawEntry(entry, this.#to);
    this.#view.field.focus();
    if (this.#session === null) return this.#begin();
    this.#send(entry);
  }

  #handleMessage(object) {
    const entry = this.#transcript.receive(object, object.from === this.#session.address);
    if (entry === null) return;
    this.#view.drawEntry(entry, plainAddress(this.#to));
    if (!entry.isOwn) this.#typist.handle(false);
    this.#view.drawUnread(this.#transcript.unread);
    this.#tell("procom-message", { unread: this.#transcript.unread });
    // After the acknowledgement, which the SDK sends when this handler is done.
    queueMicrotask(() => this.#markRead());
  }

  #handleStatus(object) {
    const entry = this.#transcript.settle(object);
    if (entry !== null) this.#view.drawEntry(entry, this.#to);
  }

  #handleComposing(object) {
    if (object.with === this.#to) this.#typist.handle(object.on === true);
  }

  #markRead() {
    if (!this.isOpen || document.visibilityState !== "visible" || this.#session === null) return;
    for (const entry of this.#transcript.markRead()) {
      this.#session.markRead(entry.id);
      this.#view.drawEntry(entry, plainAddress(this.#to));
    }
    this.#view.drawUnread(0);
  }

  /** The dialler is the gateway's own page: no script of this one gets near the call. */
  #call() {
    const page = new URL("/", this.#gateway.replace(/^ws/, "http"));
    page.hash = new URLSearchParams({ token: this.getAttribute("token") ?? "", to: this.#to }).toString();
    window.open(page.href, "_blank", POPUP);
  }

  #drawState() {
    this.#view?.drawConnection(this.state);
    this.dataset.state = this.state;
    this.#tell("procom-state", { state: this.state });
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }
}

/** @returns {Storage|null} for as long as the tab lives; none where the browser allows none */
function storage() {
  try {
    return window.sessionStorage;
  } catch {
    return null;
  }
}
