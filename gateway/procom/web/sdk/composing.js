/**
 * Telling that somebody writes, no more often than needed, and forgetting it in time. Pure; timers are handed in.
 *
 *     keys --input--> Typing --on, every 10 s; off when idle--> far side --> Typist --shown for 15 s-->
 *
 * @module sdk/composing
 */

/** How often `on` comes again while the writing goes on. */
const AGAIN_MS = 10_000;
/** After how long without a key the writing has stopped. */
const IDLE_MS = 5000;
/** How long the far side's writing is believed in without being told again. */
const BELIEVED_MS = 15_000;

const CLOCK = Object.freeze({
  now: () => Date.now(),
  set: (task, ms) => setTimeout(task, ms),
  clear: (timer) => clearTimeout(timer),
});

/** This side's writing. */
export class Typing {
  #tell;
  #clock;
  #toldAt = null;
  #idle = null;

  /** @param {(isOn: boolean) => void} tell @param {typeof CLOCK} [clock] */
  constructor(tell, clock = CLOCK) {
    this.#tell = tell;
    this.#clock = clock;
  }

  /** A key was pressed. @param {boolean} hasText whether anything stands in the field */
  input(hasText) {
    if (!hasText) return this.stop();
    const now = this.#clock.now();
    if (this.#toldAt === null || now - this.#toldAt >= AGAIN_MS) {
      this.#toldAt = now;
      this.#tell(true);
    }
    this.#clock.clear(this.#idle);
    this.#idle = this.#clock.set(() => this.stop(), IDLE_MS);
  }

  /** The message was sent: it says by itself that the writing is over. */
  sent() {
    this.#clock.clear(this.#idle);
    this.#toldAt = null;
  }

  /** The writing has stopped. */
  stop() {
    this.#clock.clear(this.#idle);
    if (this.#toldAt === null) return;
    this.#toldAt = null;
    this.#tell(false);
  }
}

/** The far side's writing. */
export class Typist {
  #show;
  #clock;
  #timer = null;

  /** @param {(isOn: boolean) => void} show @param {typeof CLOCK} [clock] */
  constructor(show, clock = CLOCK) {
    this.#show = show;
    this.#clock = clock;
  }

  /** @param {boolean} isOn what the far side told, or false because a message came */
  handle(isOn) {
    this.#clock.clear(this.#timer);
    if (isOn) this.#timer = this.#clock.set(() => this.#show(false), BELIEVED_MS);
    this.#show(isOn);
  }
}
