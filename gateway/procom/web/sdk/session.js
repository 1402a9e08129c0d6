/**
 * One signed-in session: calls, messages and the connection under them.
 *
 *     application <--events-- Session <--objects-- Link <--WebSocket--> gateway
 *                               |-- Call (one each)
 *                               '-- Messaging
 *
 * @module sdk/session
 */

import { Call } from "./call.js";
import { ProcomError } from "./causes.js";
import { Link } from "./link.js";
import { Messaging } from "./messaging.js";
import { randomId } from "./random.js";

/** Objects that belong to the call they name. */
const OF_A_CALL = new Set([
  "ringing", "progress", "answer", "offer", "candidate", "digit", "held", "resumed", "transferred", "security",
  "quality", "trouble", "end",
]);

/**
 * A session. Fires
 * - `state`: `detail.state` is `connecting`, `connected`, `reconnecting` or `closed`;
 * - `incoming`: `detail.call`; end it in the handler to refuse it without ringing;
 * - `calls`: a call began or ended; `lost`: the session could not be kept, its calls are over, a new one is begun;
 * - `closed`: `detail` is a {@link ProcomError}, or null after {@link Session#close};
 * - `message` (acknowledged afterwards unless cancelled), `status`, `presence`, `composing`: the object as `detail`, with
 *   the `call` whose channel brought it;
 * - `refused`: a {@link ProcomError} that belongs to no call, with `id` if it belongs to a message; `warning`: text.
 */
export class Session extends EventTarget {
  #link;
  #messaging;
  #configuration;
  #abort = new AbortController();
  #welcome = null;
  #iceServers = [];
  /** What was asked of addresses, by the id of the question. @type {Map<string, {resolve: Function, reject: Function}>} */
  #asked = new Map();
  #networkType = globalThis.navigator?.connection?.type;

  /**
   * Use {@link import("../procom.js").connect}.
   * @param {object} options
   * @param {string|URL} options.url
   * @param {{user: string, password: string} | {token: string, visitor?: string}} options.credentials
   * @param {RTCConfiguration} [options.configuration] merged into that of every call
   * @param {Link} [options.link] for tests
   */
  constructor({ url, credentials, configuration = {}, link = new Link({ url, credentials }) }) {
    super();
    this.#configuration = configuration;
    this.#link = link;
    this.#messaging = new Messaging((object) => link.send(object), (...event) => this.#fire(...event));
    /** Live calls by id, oldest first. @type {Map<string, Call>} */
    this.calls = new Map();
    this.#watchLink();
    this.#watchDevice();
  }

  /** @returns {import("./link.js").LinkState} */
  get state() {
    return this.#link.state;
  }

  /** The address others reach this session under. */
  get address() {
    return this.#welcome?.address ?? null;
  }

  /** The networks this gateway reaches. @returns {string[]} */
  get networks() {
    return this.#welcome?.networks ?? [];
  }

  /** Opens the link. @returns {Promise<this>} @throws {ProcomError} when it is refused or unreachable */
  open() {
    return new Promise((resolve, reject) => {
      this.#link.addEventListener("welcome", () => resolve(this), { once: true });
      this.#link.addEventListener("closed", ({ detail }) => {
        reject(detail ?? new ProcomError("closed", "The session was closed."));
      }, { once: true });
      this.#link.open();
    });
  }

  /** Ends the session and its calls at once. */
  close() {
    for (const call of [...this.calls.values()]) call.end();
    this.#link.close();
  }

  /**
   * Calls somebody. The call object is there at once; what becomes of it comes as its events.
   * @param {string} to a URI, a number as typed, a JID or a contact's name
   * @param {import("./call.js").MediaOptions & {require?: "any"|"encrypted"|"e2ee", contact?: object}} [options]
   * @returns {Call}
   */
  call(to, { require = "any", ...options } = {}) {
    const call = this.#admit({ id: randomId("c"), direction: "outgoing", peer: to, require });
    call.start(options);
    return call;
  }

  /**
   * Sends a message; its fate comes as `status` events. One that nobody has answered for when the session is lost
   * is sent again in the next, under the same id, and arrives once.
   * @param {string} to a URI, a number as typed, a JID or a contact's name
   * @param {string} body 1 to 32,768 bytes of UTF-8
   * @param {{content?: string, id?: string, require?: "any"|"encrypted"|"e2ee", fallback?: boolean}} [options]
   *   `content` is a media type; a body of a type the far network cannot carry is refused, never converted;
   *   `fallback` allows another address of the recipient
   * @returns {string} its id
   * @throws {ProcomError} `too-large` when no frame can hold it
   */
  sendMessage(to, body, options) {
    return this.#messaging.sendMessage(to, body, options);
  }

  /** Acknowledges a message whose event was cancelled. @param {string} id */
  acknowledge(id) {
    this.#messaging.acknowledge(id);
  }

  /** Tells the sender that a message was read. @param {string} id */
  markRead(id) {
    this.#messaging.markRead(id);
  }

  /**
   * Tells others how reachable this user is.
   * @param {"available"|"away"|"busy"|"offline"} show
   * @param {string} [note]
   */
  setPresence(show, note) {
    this.#link.send({ type: "presence", show, ...(note !== undefined && { note }) });
  }

  /**
   * Asks for somebody's presence, or no longer.
   * @param {string} to
   * @param {boolean} [isOn]
   */
  subscribe(to, isOn = true) {
    this.#link.send({ type: "subscribe", to, on: isOn });
  }

  /**
   * Tells somebody that a message is being written, or no longer.
   * @param {string} to
   * @param {boolean} isOn
   */
  setComposing(to, isOn) {
    this.#link.send({ type: "composing", with: to, on: isOn });
  }

  /**
   * Asks what a call to somebody would become, without making it.
   * @param {string} to as in {@link Session#call}
   * @param {{require?: "any"|"encrypted"|"e2ee", dns?: boolean}} [options] `dns` lets the gateway ask the DNS, which
   *   tells others what is typed
   * @returns {Promise<{kind?: string, text?: string, class?: string, refusal?: string,
   *   ways: {network: string, level: string, notes: string[]}[]}>}
   * @throws {ProcomError} `overload` when asked more than twice a second, `bad-address`, `lost`
   */
  explain(to, { require = "any", dns = false } = {}) {
    const id = randomId("e");
    return new Promise((resolve, reject) => {
      this.#link.send({ type: "explain", id, to, require, dns });
      this.#asked.set(id, { resolve, reject });
    });
  }

  /** The device changed networks: the socket and every call's path are built anew. */
  handleNetworkChange() {
    this.#link.renew();
    for (const call of this.calls.values()) call.handleNetworkChange();
  }

  #watchLink() {
    const link = this.#link;
    link.addEventListener("state", ({ detail }) => this.#fire("state", detail));
    link.addEventListener("welcome", ({ detail }) => this.#handleWelcome(detail));
    link.addEventListener("object", ({ detail }) => this.#handleObject(detail));
    link.addEventListener("warning", ({ detail }) => this.#fire("warning", detail));
    link.addEventListener("lost", () => {
      for (const { reject } of this.#asked.values()) reject(new ProcomError("lost", "The session was lost."));
      this.#asked.clear();
      for (const call of [...this.calls.values()]) call.handleLost();
      this.#fire("lost", null);
    });
    link.addEventListener("closed", ({ detail }) => {
      this.#abort.abort();
      this.#fire("closed", detail);
    });
  }

  #watchDevice() {
    if (typeof window === "undefined") return;
    const { signal } = this.#abort;
    // A page that goes away closes cleanly, so that nobody waits for a resume that cannot come.
    window.addEventListener("pagehide", () => this.close(), { signal });
    window.addEventListener("online", () => this.handleNetworkChange(), { signal });
    // The event also tells of changed estimates of speed; only another kind of network matters.
    navigator.connection?.addEventListener?.("change", () => {
      const { type } = navigator.connection;
      if (type === this.#networkType) return;
      this.#networkType = type;
      this.handleNetworkChange();
    }, { signal });
  }

  #handleWelcome({ welcome, isResumed }) {
    if (isResumed) this.#welcome = { ...this.#welcome, ...welcome };
    else {
      this.#welcome = welcome;
      this.#messaging.sendAgain();
    }
    this.#handleIceServers(welcome.ice_servers);
    for (const call of this.calls.values()) call.handleReachable();
  }

  #handleIceServers(servers) {
    if (!Array.isArray(servers)) return;
    this.#iceServers = servers;
    for (const call of this.calls.values()) {
      call.connection.setConfiguration({ ...call.connection.getConfiguration(), iceServers: servers });
    }
  }

  #handleObject(object) {
    if (OF_A_CALL.has(object.type)) return this.calls.get(object.call)?.handle(object);
    if (this.#messaging.handle(object)) return;
    switch (object.type) {
      case "incoming": return this.#handleIncoming(object);
      case "explained": return this.#takeQuestion(object.id)?.resolve(object);
      case "ice-servers": return this.#handleIceServers(object.ice_servers);
      case "error": return this.#handleError(object);
      // A type this version does not know: the far side may be newer.
      default: return this.#fire("warning", `An object of type ${String(object.type)} was ignored.`);
    }
  }

  #handleIncoming(object) {
    if (this.calls.has(object.call)) return;
    const { call: id, from: peer, require } = object;
    const call = this.#admit({
      id, direction: "incoming", peer: String(peer ?? ""), display: object.display ?? null,
      isVerified: object.verified === true, require,
    });
    call.ring(object.sdp);
    if (!call.isEnded) this.#fire("incoming", { call });
    if (!call.isEnded) this.#link.send({ type: "ringing", call: id });
  }

  #handleError(object) {
    const call = this.calls.get(object.call);
    if (call) return call.handle(object);
    const asked = this.#takeQuestion(object.id);
    if (asked) return asked.reject(new ProcomError(String(object.code ?? "failed"), String(object.reason ?? "")));
    if (object.id !== undefined) this.#messaging.handleRefusal(object.id);
    const error = new ProcomError(String(object.code ?? "failed"), String(object.reason ?? ""));
    this.#fire("refused", Object.assign(error, { id: object.id ?? null }));
  }

  #takeQuestion(id) {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    return asked;
  }

  #admit(description) {
    const configuration = { ...this.#configuration, iceServers: this.#iceServers };
    const call = new Call({ ...description, configuration }, {
      send: (object) => this.#link.send(object),
      isReachable: () => this.#link.state === "connected",
      sendMessage: (...message) => this.#messaging.sendMessage(...message),
      handleChannelObject: (object, way) => void this.#messaging.handle({ ...object, call: description.id }, way),
      handleClosedWay: (way) => this.#messaging.handleClosedWay(way),
    });
    this.calls.set(call.id, call);
    call.addEventListener("state", () => {
      if (call.isEnded && this.calls.delete(call.id)) this.#fire("calls", null);
    });
    this.#fire("calls", null);
    return call;
  }

  #fire(type, detail, isCancelable = false) {
    return this.dispatchEvent(new CustomEvent(type, { detail, cancelable: isCancelable }));
  }
}
