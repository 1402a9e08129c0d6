/**
 * The WebSocket to the gateway, with a session that outlives it.
 *
 *     idle --open--> connecting --welcome--> connected --drop--> reconnecting --welcome--> connected
 *                        \--error--> closed            close --> closed
 *
 * Objects go in by {@link Link#send} and come out as `object` events; a dropped socket is replaced, and what the
 * gateway lacks is sent again (`sdk/ledger.js`). When the session could not be kept, `lost` is fired and a new one
 * is begun. Sockets and timers can be handed in, so that tests need neither network nor waiting.
 * @module sdk/link
 */

import { Backoff } from "./backoff.js";
import { ProcomError } from "./causes.js";
import { Ledger } from "./ledger.js";
import { randomFraction } from "./random.js";

/** The WebSocket subprotocol of this version. */
export const SUBPROTOCOL = "procom.v1";
/** The largest frame the wire allows. */
export const FRAME_LIMIT_BYTES = 64 * 1024;
const ATTEMPT_MS = 10_000;
const DEFAULT_RESUME_S = 30;
/** Any close code but 1000 and 1001 leaves the session alive at the gateway, to be resumed. */
const CLOSE_TO_RESUME = 4000;

/** @typedef {"idle"|"connecting"|"connected"|"reconnecting"|"closed"} LinkState */

/**
 * Fires `state` (`detail.state`), `welcome` (`detail.welcome`, `detail.isResumed`), `object` (`detail`, the object),
 * `lost` (the session and its calls are gone), `closed` (`detail`: a {@link ProcomError} or null), `warning`.
 */
export class Link extends EventTarget {
  #url;
  #credentials;
  #newSocket;
  #timers;
  #ledger = new Ledger();
  #backoff = new Backoff();
  /** @type {LinkState} */
  #state = "idle";
  /** @type {WebSocket|null} */
  #socket = null;
  #isWelcomed = false;
  #hasSession = false;
  /** Resume secret: in memory only, and never shown to the application. */
  #secret = null;
  #resume_s = DEFAULT_RESUME_S;
  #attemptTimer = null;
  #retryTimer = null;
  #lossTimer = null;

  /**
   * @param {object} options
   * @param {string|URL} options.url of the gateway's `/procom`
   * @param {{user: string, password: string} | {token: string, visitor?: string}} options.credentials kept in memory for as long as
   *   the link is open, because a session that could not be resumed begins anew
   * @param {(url: string, protocol: string) => WebSocket} [options.newSocket]
   * @param {{set: (task: () => void, ms: number) => any, clear: (timer: any) => void}} [options.timers]
   */
  constructor({ url, credentials, newSocket, timers }) {
    super();
    this.#url = String(url);
    this.#credentials = { ...credentials };
    this.#newSocket = newSocket ?? ((address, protocol) => new WebSocket(address, protocol));
    this.#timers = timers ?? { set: (task, ms) => setTimeout(task, ms), clear: (timer) => clearTimeout(timer) };
  }

  /** @returns {LinkState} */
  get state() {
    return this.#state;
  }

  /** Opens the first socket. The outcome is a `welcome` or a `closed` event. */
  open() {
    if (this.#state !== "idle") return;
    this.#enter("connecting");
    this.#attempt();
  }

  /**
   * Sends one object, now or as soon as the session is taken up again.
   * @param {Record<string, unknown>} object
   * @throws {ProcomError} `too-large` when it exceeds the wire's limit
   */
  send(object) {
    if (this.#state === "closed") return;
    const text = JSON.stringify(object);
    if (new TextEncoder().encode(text).length > FRAME_LIMIT_BYTES) {
      throw new ProcomError("too-large", "This is too large to send at once.");
    }
    this.#ledger.noteSent(text);
    if (this.#state === "connected") this.#socket?.send(text);
  }

  /** Ends the session and its calls at once, at the gateway too. */
  close() {
    this.#finish(null, 1000);
  }

  /** Replaces the socket at once: the network has changed, and a dead socket may take minutes to notice. */
  renew() {
    if (this.#state === "connected") this.#drop();
    if (this.#state !== "reconnecting") return;
    this.#backoff.reset();
    this.#attempt();
  }

  #attempt() {
    this.#timers.clear(this.#retryTimer);
    this.#abandonSocket(CLOSE_TO_RESUME);
    const socket = this.#newSocket(this.#url, SUBPROTOCOL);
    this.#socket = socket;
    this.#isWelcomed = false;
    this.#attemptTimer = this.#timers.set(() => this.#handleDrop(socket, 1006), ATTEMPT_MS);
    socket.onopen = () => this.#hello();
    socket.onmessage = (event) => this.#handleText(event.data);
    socket.onclose = (event) => this.#handleDrop(socket, event.code, event.reason);
  }

  #hello() {
    const proof = this.#secret === null
      ? this.#credentials
      : { resume: this.#secret, received: this.#ledger.received };
    this.#socket?.send(JSON.stringify({ type: "hello", version: 1, ...proof }));
  }

  #handleText(text) {
    if (this.#isWelcomed) this.#ledger.noteReceived();
    const object = parse(text);
    if (object === null) return this.#fire("warning", "The gateway sent something that is not an object.");
    if (this.#isWelcomed) return this.#fire("object", object);
    if (object.type === "welcome") return this.#handleWelcome(object);
    if (object.type === "error") this.#handleRefusal(object);
  }

  #handleWelcome(welcome) {
    const isResumed = welcome.resumed === true && this.#secret !== null;
    const lacking = isResumed ? this.#ledger.missing(welcome.received) : [];
    if (lacking === null) return this.#beginAnew();
    if (!isResumed) {
      this.#lose();
      this.#ledger.reset();
    }
    this.#timers.clear(this.#attemptTimer);
    this.#timers.clear(this.#lossTimer);
    this.#backoff.reset();
    this.#isWelcomed = true;
    this.#hasSession = true;
    this.#secret = typeof welcome.resume === "string" ? welcome.resume : this.#secret;
    if (Number.isFinite(welcome.resume_s)) this.#resume_s = welcome.resume_s;
    for (const text of lacking) this.#socket?.send(text);
    this.#enter("connected");
    this.#fire("welcome", { welcome, isResumed });
  }

  /** The two sides disagree about what was sent, beyond repair: only a new session is safe. */
  #beginAnew() {
    this.#abandonSocket(1000);
    this.#lose();
    this.#retry();
  }

  #handleRefusal(error) {
    if (error.code === "resume-expired" && this.#secret !== null) {
      this.#lose();
      return this.#hello();
    }
    // A resume refused for another reason (overload, say) may succeed later; a refused sign-in will not.
    if (this.#secret !== null) return this.#handleDrop(this.#socket, 1013);
    this.#finish(new ProcomError(String(error.code ?? "refused"), String(error.reason ?? "")), 1000);
  }

  #handleDrop(socket, code, reason = "") {
    if (socket !== this.#socket || this.#state === "closed") return;
    if (this.#state === "connecting") {
      return this.#finish(new ProcomError("unreachable", "The gateway cannot be reached."), 1000);
    }
    if (code === 1008) return this.#finish(new ProcomError("refused", reason), 1000);
    this.#drop();
    this.#retry();
  }

  /** Notes that the socket is gone and starts the clock that decides how long the session may wait for a new one. */
  #drop() {
    this.#abandonSocket(CLOSE_TO_RESUME);
    if (this.#state === "reconnecting") return;
    this.#enter("reconnecting");
    this.#lossTimer = this.#timers.set(() => this.#lose(), this.#resume_s * 1000);
  }

  #retry() {
    this.#timers.clear(this.#retryTimer);
    this.#retryTimer = this.#timers.set(() => this.#attempt(), this.#backoff.next(randomFraction()));
  }

  #lose() {
    this.#secret = null;
    if (!this.#hasSession) return;
    this.#hasSession = false;
    this.#fire("lost", null);
  }

  #finish(error, code) {
    if (this.#state === "closed") return;
    this.#timers.clear(this.#retryTimer);
    this.#timers.clear(this.#lossTimer);
    this.#abandonSocket(code);
    this.#enter("closed");
    this.#lose();
    this.#credentials = null;
    this.#ledger.reset();
    this.#fire("closed", error);
  }

  #abandonSocket(code) {
    this.#timers.clear(this.#attemptTimer);
    const socket = this.#socket;
    this.#socket = null;
    this.#isWelcomed = false;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(code);
  }

  /** @param {LinkState} state */
  #enter(state) {
    if (this.#state === state) return;
    this.#state = state;
    this.#fire("state", { state });
  }

  #fire(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** @returns {Record<string, any> | null} */
function parse(text) {
  try {
    const object = JSON.parse(text);
    return object !== null && typeof object === "object" && !Array.isArray(object) ? object : null;
  } catch {
    return null;
  }
}
