/**
 * Messages, receipts, presence and composing of one session.
 *
 *     send --message--> gateway --status--> queued, sent, delivered, read | failed
 *     gateway --message--> application --ack--> gateway, later --read-->
 *
 * @module sdk/messaging
 */

import { randomId } from "./random.js";

/** How many received ids are remembered, so that a message sent again is not shown again. */
const REMEMBERED_IDS = 1000;

/** The message half of a session. Fires its events on the session it is given. */
export class Messaging {
  #send;
  #fire;
  /** Messages the gateway has not said anything about: sent again when a new session begins. */
  #unsettled = new Map();
  /** Ids seen, oldest first. */
  #seen = new Set();

  /**
   * @param {(object: Record<string, unknown>) => void} send
   * @param {(type: string, detail: any, isCancelable?: boolean) => boolean} fire false when a handler cancelled
   */
  constructor(send, fire) {
    this.#send = send;
    this.#fire = fire;
  }

  /**
   * @param {string} to
   * @param {string} body
   * @param {{content?: string, id?: string}} [options]
   * @returns {string} the message's id, under which `status` events follow
   */
  sendMessage(to, body, { content = "text/plain", id = randomId("m", 16) } = {}) {
    const object = { type: "message", id, to, body, content };
    this.#send(object);
    this.#unsettled.set(id, object);
    return id;
  }

  /** Sends what the lost session may have lost; the ids make it harmless if it did not. */
  sendAgain() {
    for (const object of this.#unsettled.values()) this.#send(object);
  }

  /**
   * Takes an object of this half.
   * @param {Record<string, any>} object
   * @returns {boolean} whether it was one
   */
  handle(object) {
    switch (object.type) {
      case "message": this.#handleMessage(object); return true;
      case "status": this.#handleStatus(object); return true;
      case "presence": this.#fire("presence", object); return true;
      case "composing": this.#fire("composing", object); return true;
      default: return false;
    }
  }

  /**
   * A refused message will not be tried again.
   * @param {string} id
   */
  handleRefusal(id) {
    this.#unsettled.delete(id);
  }

  #handleMessage(object) {
    const { id } = object;
    const isNew = !this.#seen.has(id);
    if (isNew) {
      this.#seen.add(id);
      if (this.#seen.size > REMEMBERED_IDS) this.#seen.delete(this.#seen.values().next().value);
      // An application that stores messages cancels the event and acknowledges once the message is safe.
      if (!this.#fire("message", object, true)) return;
    }
    this.#send({ type: "ack", id });
  }

  #handleStatus(object) {
    this.#unsettled.delete(object.id);
    this.#fire("status", object);
  }
}
