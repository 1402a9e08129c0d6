/**
 * Which conversation a message belongs to. Pure.
 *
 *     message, status --conversation--> the thread of that id --else--> the thread of that address --else--> a new one
 *
 * The gateway says which addresses are one person; until it has, an address is a thread of its own. A thread is
 * answered where it was last heard from.
 *
 * @module profon/threads
 */

import { Transcript } from "../prochat/transcript.js";

/**
 * @typedef {object} Thread
 * @property {string} peer where an answer goes
 * @property {Set<string>} addresses under which this conversation was met
 * @property {string|null} conversation as the gateway calls it, once that is known
 * @property {Transcript} transcript
 */

/** All conversations of one session, oldest first. */
export class Threads {
  /** @type {Thread[]} */
  #threads = [];

  /** Begins with none. */
  clear() {
    this.#threads = [];
  }

  /** @returns {Thread[]} */
  get all() {
    return [...this.#threads];
  }

  /** The thread of an address, a new one if there is none. @param {string} address @returns {Thread} */
  open(address) {
    return this.#of(address) ?? this.#begin(address, null);
  }

  /**
   * @param {Record<string, any>} object a `message`
   * @param {boolean} isOwn
   * @param {string} [answered] whose thread it is where the gateway knows no better
   * @returns {{thread: Thread, isNew: boolean}} `isNew` is false when it was here already
   */
  receive(object, isOwn, answered) {
    const address = String(isOwn ? object.to : object.from);
    const conversation = typeof object.conversation === "string" ? object.conversation : null;
    const known = this.#find(conversation, address) ?? (answered === undefined ? undefined : this.#of(answered));
    const thread = known ?? this.#begin(address, conversation);
    thread.addresses.add(address);
    if (thread.conversation === null) this.#learn(thread, conversation);
    const isNew = thread.transcript.receive(object, isOwn) !== null;
    if (isNew && !isOwn) thread.peer = address;
    return { thread, isNew };
  }

  /**
   * @param {Record<string, any>} object a `status`
   * @returns {Thread|null} the one it changed, with what was found to be the same conversation
   */
  settle(object) {
    for (const thread of this.#threads) {
      if (thread.transcript.settle(object) === null) continue;
      return typeof object.conversation === "string" ? this.#learn(thread, object.conversation) : thread;
    }
    return null;
  }

  #find(conversation, address) {
    const known = conversation !== null && this.#threads.find((thread) => thread.conversation === conversation);
    if (known) return known;
    const thread = this.#of(address);
    // The same address in another conversation: contacts have changed meanwhile.
    return thread && (conversation === null || thread.conversation === null) ? thread : undefined;
  }

  /** Of several under one address, the latest. */
  #of(address) {
    return this.#threads.findLast((thread) => thread.addresses.has(address));
  }

  #begin(address, conversation) {
    const thread = { peer: address, addresses: new Set([address]), conversation, transcript: new Transcript(null, address) };
    this.#threads.push(thread);
    return thread;
  }

  /** A thread gets its name; what had that name already was the same one. */
  #learn(thread, conversation) {
    const known = this.#threads.find((one) => one !== thread && conversation !== null && one.conversation === conversation);
    if (!known) {
      thread.conversation ??= conversation;
      return thread;
    }
    known.transcript.absorb(thread.transcript);
    for (const address of thread.addresses) known.addresses.add(address);
    this.#threads = this.#threads.filter((one) => one !== thread);
    return known;
  }
}
