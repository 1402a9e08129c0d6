/**
 * Messages, receipts, presence and composing of one session.
 *
 *     send --message--> gateway --status--> queued, sent, delivered, read | failed
 *     gateway --message--> application --ack--> gateway, later --read-->
 *
 * Each goes over the socket, or over the channel of a call as long as that is open.
 *
 * @module sdk/messaging
 */

import { randomId } from "./random.js";

/** How many ids are remembered in either direction, so that nothing is shown or told twice. */
const REMEMBERED_IDS = 1000;
/** The ladder a message climbs; it never goes back. */
const LADDER = Object.freeze(["queued", "sent", "delivered", "read", "failed"]);

/** @typedef {(object: Record<string, unknown>) => boolean} Way of a call; false when it did not take the object */

/** The message half of a session. Fires its events on the session it is given. */
export class Messaging {
  #send;
  #fire;
  /**
   * Messages the gateway has not said anything about: sent again when a new session begins, or when the channel they
   * went over is closed. @type {Map<string, {object: Record<string, unknown>, way: Way|null}>}
   */
  #unsettled = new Map();
  /** How far each message sent here has come, by its step on the ladder. */
  #stepOfId = new Map();
  /** Ids received: `shown`, `held` while the application keeps the acknowledgement back, or `read`. */
  #received = new Map();

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
   * @param {{content?: string, id?: string, require?: string, fallback?: boolean}} [options]
   * @param {Way|null} [way] that of the call it is written in
   * @returns {string} the message's id, under which `status` events follow
   */
  sendMessage(to, body, { content = "text/plain", id = randomId("m", 16), require, fallback } = {}, way = null) {
    const object = {
      type: "message", id, to, body, content, ...(require !== undefined && { require }), ...(fallback === true && { fallback }),
    };
    const isTaken = way?.(object) ?? false;
    if (!isTaken) this.#send(object);
    this.#unsettled.set(id, { object, way: isTaken ? way : null });
    return id;
  }

  /** Sends what the lost session may have lost; the ids make it harmless if it did not. */
  sendAgain() {
    for (const { object } of this.#unsettled.values()) this.#send(object);
  }

  /**
   * A call's channel is closed: what it had may be lost, so it is sent by the socket.
   * @param {Way} way
   */
  handleClosedWay(way) {
    for (const entry of this.#unsettled.values()) {
      if (entry.way !== way) continue;
      entry.way = null;
      this.#send(entry.object);
    }
  }

  /**
   * Acknowledges a message whose event was cancelled.
   * @param {string} id
   */
  acknowledge(id) {
    if (this.#received.get(id) === "held") this.#received.set(id, "shown");
    this.#send({ type: "ack", id });
  }

  /**
   * Tells the sender that a message was read: once, however often it is called.
   * @param {string} id
   */
  markRead(id) {
    if (this.#received.get(id) === "read") return;
    remember(this.#received, id, "read");
    this.#send({ type: "read", id });
  }

  /**
   * Takes an object of this half.
   * @param {Record<string, any>} object
   * @param {Way|null} [way] that of the call it came by
   * @returns {boolean} whether it was one
   */
  handle(object, way = null) {
    switch (object.type) {
      case "message": this.#handleMessage(object, way); return true;
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

  #handleMessage(object, way) {
    const { id } = object;
    const before = this.#received.get(id);
    // The application has it, but not for good yet: it acknowledges by itself.
    if (before === "held") return;
    if (before === undefined) {
      remember(this.#received, id, "held");
      // An application that stores messages cancels the event and acknowledges once the message is safe.
      if (!this.#fire("message", object, true)) return;
      if (this.#received.get(id) === "held") this.#received.set(id, "shown");
    }
    const ack = { type: "ack", id };
    if (!way?.(ack)) this.#send(ack);
  }

  #handleStatus(object) {
    const { id, status } = object;
    this.#unsettled.delete(id);
    const step = LADDER.indexOf(status);
    // What failed before it was taken may be tried again under its id.
    if (status === "failed" && object.message === undefined) this.#stepOfId.delete(id);
    else if (step <= (this.#stepOfId.get(id) ?? -1)) return;
    else remember(this.#stepOfId, id, step);
    this.#fire("status", object);
  }
}

/** Notes a value, and forgets the oldest beyond the limit. */
function remember(map, key, value) {
  map.set(key, value);
  if (map.size > REMEMBERED_IDS) map.delete(map.keys().next().value);
}
