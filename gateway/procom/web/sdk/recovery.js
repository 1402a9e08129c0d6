/**
 * Decides when the media path of a call is built anew (ICE restart, RFC 8445 §9).
 *
 *     failed, or disconnected for some seconds, or another network --> restart, once the gateway can be told
 *
 * @module sdk/recovery
 */

/** A path that is silent this long is given up; shorter gaps heal by themselves. */
const DISCONNECTED_MS = 2500;
/** Not more often than this, so that a dead network is not met with a flood of offers. */
const APART_MS = 4000;

/** Watches one connection. */
export class Recovery {
  #connection;
  #restart;
  #isReachable;
  #timer = null;
  #isWanted = false;
  #last = -Infinity;

  /**
   * @param {RTCPeerConnection} connection
   * @param {() => void} restart makes and sends the offer
   * @param {() => boolean} isReachable whether the gateway can be told now
   */
  constructor(connection, restart, isReachable) {
    this.#connection = connection;
    this.#restart = restart;
    this.#isReachable = isReachable;
    connection.addEventListener("connectionstatechange", () => this.#handleState());
  }

  /** The device is on another network: the old path is of no use even if it looks alive. */
  handleNetworkChange() {
    this.#isWanted = true;
    this.#try();
  }

  /** The gateway can be told again. */
  handleReachable() {
    if (this.#connection.connectionState === "failed") this.#isWanted = true;
    this.#try();
  }

  /** Stops watching. */
  close() {
    clearTimeout(this.#timer);
    this.#isWanted = false;
    this.#restart = () => {};
  }

  #handleState() {
    const state = this.#connection.connectionState;
    if (state === "connected") {
      clearTimeout(this.#timer);
      this.#isWanted = false;
    } else if (state === "failed") {
      this.handleNetworkChange();
    } else if (state === "disconnected") {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.handleNetworkChange(), DISCONNECTED_MS);
    }
  }

  #try() {
    if (!this.#isWanted || !this.#isReachable()) return;
    clearTimeout(this.#timer);
    const wait = this.#last + APART_MS - performance.now();
    if (wait > 0) {
      this.#timer = setTimeout(() => this.#try(), wait);
      return;
    }
    this.#last = performance.now();
    this.#isWanted = false;
    this.#restart();
    // The restart itself may fail without another event, when the state stays `failed`.
    this.#timer = setTimeout(() => this.#handleState(), APART_MS);
  }
}
