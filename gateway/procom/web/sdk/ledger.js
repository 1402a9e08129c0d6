/**
 * What was sent and received since `welcome`, so that a dropped socket loses nothing. Pure.
 *
 *     send --> [ ..., 41, 42, 43 ] --peer says "received": 41--> replay 42, 43
 *
 * Both sides count objects after `hello` and `welcome` and keep the last thousand (PROTOCOL, Transport).
 * @module sdk/ledger
 */

/** How many sent objects are kept for replay. */
export const KEPT_OBJECTS = 1000;

/** Counts both directions and keeps what may have to be sent again. */
export class Ledger {
  #limit;
  #sent = 0;
  #received = 0;
  /** @type {string[]} */
  #kept = [];

  /** @param {number} [limit] objects to keep */
  constructor(limit = KEPT_OBJECTS) {
    this.#limit = limit;
  }

  /** Objects sent since the session began. */
  get sent() {
    return this.#sent;
  }

  /** Objects received since the session began. */
  get received() {
    return this.#received;
  }

  /**
   * Notes one object as sent, whether or not a socket is up to carry it now.
   * @param {string} text the frame as it goes out
   */
  noteSent(text) {
    this.#sent += 1;
    this.#kept.push(text);
    if (this.#kept.length > this.#limit) this.#kept.shift();
  }

  /** Notes one object as received. */
  noteReceived() {
    this.#received += 1;
  }

  /**
   * Lists what the peer lacks.
   * @param {unknown} received how many objects the peer says it has
   * @returns {string[] | null} frames to send again, oldest first; `null` when some are no longer kept or the
   *   count makes no sense, which means that the session cannot go on
   */
  missing(received) {
    if (!Number.isSafeInteger(received)) return null;
    const lacking = this.#sent - /** @type {number} */ (received);
    if (lacking < 0 || lacking > this.#kept.length) return null;
    return lacking === 0 ? [] : this.#kept.slice(-lacking);
  }

  /** Forgets everything: a new session begins. */
  reset() {
    this.#sent = 0;
    this.#received = 0;
    this.#kept = [];
  }
}
