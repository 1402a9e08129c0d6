/**
 * Messages in Profon: one conversation for each address, the one in front shown. Nothing is stored.
 *
 *     session --message, status, composing--> Talk --draw--> card below the call
 *     person --send--> Talk --sendMessage, read--> session
 *                           --sendText--> the call, while one with that address goes on
 *
 * @module profon/talk
 */

import { Transcript } from "../prochat/transcript.js";
import { wordsOfStatus, wordsOfTime } from "../prochat/words.js";
import { Typing, Typist } from "../sdk/composing.js";
import { byId, make, say, show } from "./dom.js";
import { shortAddress } from "./words.js";

/** The card with the conversations of one session. */
export class Talk {
  /** @type {import("../procom.js").Session|null} */
  #session = null;
  /** @type {Map<string, Transcript>} */
  #transcriptOfPeer = new Map();
  #peer = "";
  /** @type {(peer: string) => import("../sdk/call.js").Call|null} */
  #callWith;
  #typing = new Typing((isOn) => {
    const call = this.#callWith(this.#peer);
    if (call) call.setComposing(isOn);
    else this.#session?.setComposing(this.#peer, isOn);
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
      if (target.dataset.peer !== undefined) this.open(target.dataset.peer);
    });
    document.addEventListener("visibilitychange", () => this.#markRead());
  }

  /** @param {import("../procom.js").Session|null} session whose messages these are; another one begins with none */
  adopt(session) {
    this.#session = session;
    this.#transcriptOfPeer.clear();
    this.#peer = "";
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
      if (object.with === this.#peer) this.#typist.handle(object.on === true);
    });
  }

  /** Brings a conversation to the front. @param {string} typed an address, a number, a name */
  open(typed) {
    this.#bring(addressOf(typed));
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
    return this.#peer !== "" && this.#peer === addressOf(typed);
  }

  /** A call began, ended, or its channel opened or closed. */
  handleCalls() {
    this.#drawTitle();
  }

  #bring(peer) {
    this.#typing.stop();
    this.#typist.handle(false);
    this.#peer = peer;
    this.#transcript(peer);
    this.#draw();
    this.#markRead();
  }

  #transcript(peer) {
    const known = this.#transcriptOfPeer.get(peer) ?? new Transcript(null, peer);
    this.#transcriptOfPeer.set(peer, known);
    return known;
  }

  #write(text) {
    if (text.trim() === "" || this.#session === null || this.#peer === "") return;
    const entry = this.#transcript(this.#peer).write(text, Date.now());
    this.#typing.sent();
    try {
      const call = this.#callWith(this.#peer);
      if (call) call.sendText(text, { id: entry.id });
      else this.#session.sendMessage(this.#peer, text, { id: entry.id });
    } catch (error) {
      this.#handleStatus({ id: entry.id, status: "failed", reason: error.reason ?? error.message });
    }
    this.#draw();
  }

  #handleMessage(object) {
    const isOwn = object.from === this.#session.address;
    const peer = String(isOwn ? object.to : object.from);
    if (this.#transcript(peer).receive(object, isOwn) === null) return;
    if (this.#peer === "") this.#peer = peer;
    if (peer === this.#peer && !isOwn) this.#typist.handle(false);
    this.#draw();
    // After the acknowledgement, which the SDK sends when this handler is done.
    queueMicrotask(() => this.#markRead());
  }

  #handleStatus(object) {
    for (const transcript of this.#transcriptOfPeer.values()) if (transcript.settle(object) !== null) return this.#draw();
  }

  #markRead() {
    if (document.visibilityState !== "visible" || this.#session === null || this.#peer === "") return;
    const fresh = this.#transcript(this.#peer).markRead();
    for (const { id } of fresh) this.#session.markRead(id);
    if (fresh.length > 0) this.#draw();
  }

  #drawTitle() {
    const call = this.#peer === "" ? null : this.#callWith(this.#peer);
    say("talk-title", `Messages with ${shortAddress(this.#peer)}`);
    show("talk-in-call", call?.hasChannel ?? false);
  }

  #draw() {
    show("talk", this.#peer !== "");
    if (this.#peer === "") return;
    this.#drawTitle();
    const others = [...this.#transcriptOfPeer].filter(([peer]) => peer !== this.#peer);
    byId("talk-peers").replaceChildren(...others.map(([peer, transcript]) => {
      const name = shortAddress(peer);
      const unread = transcript.unread > 0 ? `, ${transcript.unread} new` : "";
      return make("button", { type: "button", class: "quiet", "data-peer": peer }, `${name}${unread}`);
    }));
    const log = byId("talk-log");
    // What is there already stays, so that a reader speaks only what is new.
    this.#transcript(this.#peer).entries.forEach((entry, index) => drawEntry(byId("talk-list"), entry, index));
    for (const stale of [...byId("talk-list").children].slice(this.#transcript(this.#peer).entries.length)) stale.remove();
    log.scrollTop = log.scrollHeight;
  }
}

function drawEntry(list, entry, index) {
  const known = list.children[index];
  const words = entry.isOwn ? `${wordsOfTime(entry.at_ms)} · ${wordsOfStatus(entry.status)}` : wordsOfTime(entry.at_ms);
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

/** @param {string} typed @returns {string} the URI the gateway makes of it, so that answers meet what was written */
export function addressOf(typed) {
  const text = typed.trim();
  if (/^(procom|sips?|tel|sms|xmpp):/i.test(text)) return text;
  const number = text.replace(/[\s\u00a0().\/-]/g, "");
  if (/^\+?[\d*#]+$/.test(number)) return `tel:${number}`;
  return text.includes("@") ? `xmpp:${text}` : `procom:${text}`;
}
