/**
 * What was written and how far it came. Pure; a store is handed in, which may forget or fail.
 *
 *     write, status ---\
 *                       >-- entries, oldest first --> kept for as long as the tab lives
 *     receive, read ---/
 *
 * @module prochat/transcript
 */

import { harmless, plainAddress } from "../sdk/display.js";
import { randomId } from "../sdk/random.js";

/** How many entries are kept. */
const KEPT = 200;
const LADDER = Object.freeze(["sending", "queued", "sent", "delivered", "read", "failed"]);

/**
 * @typedef {object} Entry
 * @property {string} id the sender's own where it was written here, the gateway's otherwise
 * @property {string|null} message the gateway's id, once it is known
 * @property {boolean} isOwn
 * @property {string} from in letters that cannot pass for others
 * @property {boolean} isVerified whether `from` is proven
 * @property {string} text harmless, to be shown
 * @property {string|null} wire what was written here, as it goes out
 * @property {number} at_ms
 * @property {string} status of one's own: a step of the ladder; of others': `new` or `read`
 * @property {string} reason why it failed
 */

/** One conversation. */
export class Transcript {
  #store;
  #key;
  /** @type {Entry[]} */
  entries = [];
  /** What makes this visitor the same guest again. */
  visitor = randomId("v", 16);

  /**
   * @param {Storage|null} store
   * @param {string} key
   */
  constructor(store, key) {
    this.#store = store;
    this.#key = key;
    this.#load();
  }

  /** Whether there was anything before this page. */
  get isEmpty() {
    return this.entries.length === 0;
  }

  /** How many messages of others nobody has looked at. */
  get unread() {
    return this.entries.filter(({ isOwn, status }) => !isOwn && status === "new").length;
  }

  /** What was written here and not answered for. @returns {Entry[]} */
  get unsettled() {
    return this.entries.filter(({ isOwn, status }) => isOwn && status === "sending");
  }

  /** @param {string} text @param {number} now_ms @returns {Entry} */
  write(text, now_ms) {
    return this.#add({
      id: randomId("m", 16), message: null, isOwn: true, from: "", isVerified: true, text: harmless(text), wire: text, at_ms: now_ms,
      status: "sending", reason: "",
    });
  }

  /**
   * @param {Record<string, any>} object a `message`
   * @param {boolean} isOwn written by the same person on another page
   * @returns {Entry|null} null when it is here already
   */
  receive(object, isOwn) {
    const id = String(object.id);
    if (this.entries.some((entry) => entry.id === id || entry.message === id)) return null;
    const isText = object.content === "text/plain";
    const at_ms = Date.parse(object.at);
    return this.#add({
      id, message: id, isOwn, from: plainAddress(object.from), isVerified: object.verified === true,
      text: isText ? harmless(object.body) : `A message of the kind ${harmless(object.content)} cannot be shown here.`,
      wire: null, at_ms: Number.isFinite(at_ms) ? at_ms : Date.now(), status: isOwn ? "queued" : "new", reason: "",
    });
  }

  /** @param {Record<string, any>} object a `status` @returns {Entry|null} the entry it changed */
  settle({ id, message, status, reason }) {
    const entry = this.entries.find((one) => one.isOwn && (one.id === id || (message !== undefined && one.message === message)));
    if (!entry || LADDER.indexOf(status) <= LADDER.indexOf(entry.status)) return null;
    if (message !== undefined) entry.message = String(message);
    entry.status = status;
    entry.reason = harmless(reason);
    this.#save();
    return entry;
  }

  /** What failed is about to be tried again. @param {Entry} entry */
  retry(entry) {
    // One that was taken once can only be sent anew.
    if (entry.message !== null) entry.id = randomId("m", 16);
    Object.assign(entry, { status: "sending", reason: "", message: null });
    this.#save();
  }

  /** Takes over what stands in another one, by the time it was written. @param {Transcript} other */
  absorb(other) {
    const isNew = (entry) => !this.entries.some(({ id, message }) => id === entry.id || (message !== null && message === entry.message));
    this.entries.push(...other.entries.filter(isNew));
    this.entries.sort((one, another) => one.at_ms - another.at_ms);
    this.entries.splice(0, this.entries.length - KEPT);
    this.#save();
  }

  /** Everything was looked at. @returns {Entry[]} what was new */
  markRead() {
    const fresh = this.entries.filter(({ isOwn, status }) => !isOwn && status === "new");
    for (const entry of fresh) entry.status = "read";
    if (fresh.length > 0) this.#save();
    return fresh;
  }

  #add(entry) {
    this.entries.push(entry);
    if (this.entries.length > KEPT) this.entries.shift();
    this.#save();
    return entry;
  }

  #load() {
    try {
      const kept = JSON.parse(this.#store?.getItem(this.#key) ?? "null");
      if (typeof kept?.visitor === "string" && kept.visitor.length >= 22) this.visitor = kept.visitor;
      if (Array.isArray(kept?.entries)) this.entries = kept.entries.filter((entry) => typeof entry?.text === "string");
    } catch {
      // Kept by somebody else, or not to be had: the conversation begins anew.
    }
  }

  #save() {
    try {
      this.#store?.setItem(this.#key, JSON.stringify({ visitor: this.visitor, entries: this.entries }));
    } catch {
      // A full or forbidden store costs the history of this tab, not the conversation.
    }
  }
}
