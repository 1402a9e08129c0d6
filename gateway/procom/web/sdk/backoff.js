/**
 * When to try a lost connection again: doubling waits with jitter, so that a restarted gateway is not met by
 * all its clients in the same moment. Pure.
 * @module sdk/backoff
 */

const FIRST_MS = 300;
const LONGEST_MS = 5000;

/** Yields the wait before each attempt. */
export class Backoff {
  #attempt = 0;

  /**
   * @param {number} fraction a random number, 0 to 1
   * @returns {number} ms to wait before the next attempt, between half and all of the doubled step
   */
  next(fraction) {
    const step = Math.min(LONGEST_MS, FIRST_MS * 2 ** this.#attempt);
    this.#attempt = Math.min(this.#attempt + 1, 10);
    return Math.round(step * (0.5 + fraction / 2));
  }

  /** Starts over after a success. */
  reset() {
    this.#attempt = 0;
  }
}
