/**
 * One call: its state, its media and its objects on the wire.
 *
 *     session --object--> Call.handle --input--> call-state.js
 *                            |  ^
 *                            v  | negotiation.js, recovery.js, digits.js
 *                      RTCPeerConnection
 *
 * @module sdk/call
 */

import { NEW_CALL, causeOfLeaving, stateName, step } from "./call-state.js";
import { ProcomError, readCause } from "./causes.js";
import { ObjectChannel } from "./channel.js";
import { DIGIT_MS, digitSender, insertDigit, isDigit } from "./digits.js";
import { Microphone, isMicrophoneGranted } from "./microphone.js";
import { Negotiation } from "./negotiation.js";
import { Recovery } from "./recovery.js";
import { readSecurity } from "./security.js";

/**
 * @typedef {object} Wire what a call needs of its session
 * @property {(object: Record<string, unknown>) => void} send
 * @property {() => boolean} isReachable
 * @property {(object: Record<string, any>, way: Way) => void} handleChannelObject
 * @property {(way: Way) => void} handleClosedWay
 * @property {(to: string, body: string, options: object|undefined, way: Way) => string} sendMessage
 *
 * @typedef {import("./messaging.js").Way} Way
 *
 * @typedef {object} MediaOptions
 * @property {MediaStream} [media] send this instead of asking for the microphone
 * @property {MediaTrackConstraints|boolean} [audio] constraints for the microphone; `true` when left out
 * @property {boolean} [channel] also open the `procom` data channel, for text in the call
 */

/**
 * A call. Fires `state` (`detail`: {@link CallDetail}), `media` (`detail.stream`), `path` (`detail.state` of the
 * connection), `security` ({@link import("./security.js").Security}), `quality` (`mos`, `loss`, `jitter_ms`, `rtt_ms`),
 * `trouble` (`leg`, `direction`, `why`), `digit` (`digit`), `transferred` (`to`, `outcome`), `refused` (a
 * {@link ProcomError} about something asked of a call that goes on), `channel` (`isOpen`) and `warning`.
 *
 * @typedef {object} CallDetail
 * @property {import("./call-state.js").StateName} state
 * @property {string|null} cause
 * @property {string|null} reason
 */
export class Call extends EventTarget {
  #wire;
  #state = NEW_CALL;
  #negotiation;
  #recovery;
  #microphone = new Microphone();
  #channel;
  /** @type {Way} */
  #way = (object) => this.#channel.send(object);
  #isMuted = false;
  #isKnown = false;
  /** The change of hold the gateway has not answered yet: true to hold, false to resume. */
  #holdAsked = null;
  #security = null;
  /** @type {number|null} */
  #answeredAt = null;

  /**
   * Applications do not construct calls: `Session.call` and the `incoming` event do.
   * @param {object} description
   * @param {string} description.id
   * @param {"outgoing"|"incoming"} description.direction
   * @param {string} description.peer address of the other side, as dialled or as the gateway reports it
   * @param {string|null} [description.display] name the caller gave
   * @param {boolean} [description.isVerified] whether the caller's address is proven
   * @param {string} [description.require] `any`, `encrypted` or `e2ee`
   * @param {RTCConfiguration} description.configuration
   * @param {Wire} wire
   */
  constructor({ id, direction, peer, display = null, isVerified = false, require = "any", configuration }, wire) {
    super();
    this.#wire = wire;
    /** Unique within the session. */
    this.id = id;
    this.direction = direction;
    this.peer = peer;
    this.display = display;
    this.isVerified = isVerified;
    this.require = require;
    /** What is heard: the far side's media. */
    this.stream = new MediaStream();
    /** The connection underneath, for statistics. Its descriptions are the SDK's business. */
    this.connection = new RTCPeerConnection({ bundlePolicy: "max-bundle", ...configuration });
    const send = (object) => this.#isKnown && !this.isEnded && wire.send({ ...object, call: id });
    const warn = (text) => this.#fire("warning", text);
    this.#negotiation = new Negotiation(this.connection, send, warn);
    this.#channel = new ObjectChannel(this.connection, {
      handleObject: (object) => this.#handleChannelObject(object),
      handleChange: (isOpen) => this.#handleChannelChange(isOpen),
      warn,
    });
    this.#recovery = new Recovery(this.connection, () => this.restartIce(), () => this.#canOffer());
    this.#watch();
  }

  /** @returns {import("./call-state.js").StateName} */
  get state() {
    return stateName(this.#state);
  }

  /** Everything about the state: hold on either side, cause, reason, who ended it. */
  get details() {
    return this.#state;
  }

  /** The latest `security` report, or null before the first. */
  get security() {
    return this.#security;
  }

  /** `performance.now()` at the answer, or null before it. */
  get answeredAt() {
    return this.#answeredAt;
  }

  get isMuted() {
    return this.#isMuted;
  }

  /** Whether text goes over the call's own channel now. */
  get hasChannel() {
    return this.#channel.isOpen;
  }

  get isEnded() {
    return this.#state.phase === "ended";
  }

  /**
   * Starts an outgoing call. Called by the session.
   * @param {MediaOptions & {contact?: object}} options
   */
  async start({ contact, ...media }) {
    this.#apply({ type: "dialled" });
    try {
      if (!(await this.#attachMedia(media))) return;
      const sdp = await this.#negotiation.offer();
      if (this.isEnded) return;
      this.#isKnown = true;
      const { id: call, peer: to, require } = this;
      this.#wire.send({ type: "call", call, to, sdp, require, ...(contact && { contact }) });
      this.#negotiation.announce();
    } catch (error) {
      this.#fail(error);
    }
  }

  /**
   * Takes the offer of an incoming call and rings. Called by the session.
   * @param {string} sdp
   */
  async ring(sdp) {
    this.#isKnown = true;
    this.#apply({ type: "arrived" });
    try {
      // The path is built while it rings, so that the far side is heard as soon as the person answers. Nothing is sent
      // on it before: there is no microphone yet.
      await this.#negotiation.takeOffer(sdp);
    } catch {
      this.end("not-acceptable", "The offer cannot be taken.");
    }
  }

  /**
   * Answers an incoming call.
   * @param {MediaOptions} [media]
   * @returns {Promise<void>} settled when the answer is on its way; failures end the call
   */
  async answer(media = {}) {
    if (this.#state.phase !== "incoming") return;
    this.#apply({ type: "picked-up" });
    try {
      // Where the browser will not ask for the microphone, nobody waits for it to open.
      if (await isMicrophoneGranted(media)) {
        await this.#sendAnswer(media);
        await this.#attachMedia(media);
      } else if (await this.#attachMedia(media)) {
        await this.#sendAnswer(media);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  async #sendAnswer({ channel = false }) {
    const sdp = await this.#negotiation.answer();
    if (this.isEnded) return;
    // Only where the offer has room for one: another offer just for it is not worth a glare.
    if (channel && this.connection.sctp) this.#channel.open();
    this.#wire.send({ type: "answer", call: this.id, sdp });
    this.#negotiation.announce();
    this.#apply({ type: "answered" });
  }

  /**
   * Ends the call in any state.
   * @param {string} [cause] the fitting one when left out: `normal`, `cancelled` or `declined`
   * @param {string} [reason]
   */
  end(cause = causeOfLeaving(this.#state), reason = undefined) {
    if (this.isEnded) return;
    if (this.#isKnown) this.#wire.send({ type: "end", call: this.id, cause, ...(reason && { reason }) });
    this.#finish(cause, reason ?? null, "here");
  }

  /**
   * Silences the microphone, or opens it again.
   * @param {boolean} isMuted
   */
  mute(isMuted) {
    this.#isMuted = isMuted;
    this.#applyMicrophone();
    this.#fireState();
  }

  /** Asks the gateway to hold the far side; the microphone is silent at once. */
  hold() {
    this.#askHold(true);
  }

  /** Takes a held call up again. */
  resume() {
    this.#askHold(false);
  }

  /**
   * Changes what this side sends and takes, by a new offer.
   * @param {RTCRtpTransceiverDirection} direction
   */
  setDirection(direction) {
    for (const transceiver of this.connection.getTransceivers()) transceiver.direction = direction;
    return this.#negotiation.renegotiate();
  }

  /**
   * Hands the far side over.
   * @param {{to: string} | {with: Call}} target an address (blind), or another call of this session (attended)
   */
  transfer(target) {
    const where = "with" in target ? { with: target.with.id } : { to: target.to };
    this.#wire.send({ type: "transfer", call: this.id, ...where });
  }

  /**
   * Sends one dialled digit.
   * @param {string} digit one of 0 to 9, *, #, A to D
   * @throws {ProcomError} `no-digit`
   */
  sendDigit(digit) {
    if (!isDigit(digit)) throw new ProcomError("no-digit", "A telephone cannot send this character.");
    const sender = digitSender(this.connection);
    if (sender) insertDigit(sender, digit);
    else this.#wire.send({ type: "digit", call: this.id, digit, duration_ms: DIGIT_MS });
  }

  /** Builds the media path anew. The SDK does so by itself when the path fails or the network changes. */
  restartIce() {
    this.connection.restartIce();
    return this.#negotiation.renegotiate();
  }

  /**
   * Writes to the far side: over the call's own `procom` data channel while that is open, else as any message. Answers
   * and status come as the session's `message` and `status`, whichever way they take, and once.
   * @param {string} body
   * @param {{content?: string, id?: string, require?: "any"|"encrypted"|"e2ee"}} [options]
   * @returns {string} its id
   */
  sendText(body, options) {
    return this.#wire.sendMessage(this.peer, body, options, this.#way);
  }

  /**
   * Tells the far side that something is being written, or no longer.
   * @param {boolean} isOn
   */
  setComposing(isOn) {
    const object = { type: "composing", with: this.peer, on: isOn };
    if (!this.#way(object)) this.#wire.send(object);
  }

  /**
   * Takes an object of the wire that names this call. Called by the session.
   * @param {Record<string, any>} object
   */
  handle(object) {
    switch (object.type) {
      case "ringing": return this.#apply({ type: "rung" });
      case "progress": return this.#handleAnswer(object.sdp, "progressed");
      case "answer": return this.#handleAnswer(object.sdp, "answered");
      case "offer": return void this.#negotiation.handleOffer(object.sdp);
      case "candidate": return void this.#negotiation.handleCandidate(object.candidate ?? null);
      case "digit": return this.#fire("digit", { digit: String(object.digit) });
      case "held": return this.#handleHeld(true);
      case "resumed": return this.#handleHeld(false);
      case "transferred": return this.#fire("transferred", { to: object.to, outcome: object.outcome });
      case "security": return this.#handleSecurity(object);
      case "quality": return this.#fire("quality", object);
      case "trouble": return this.#fire("trouble", object);
      case "end": return this.#finish(readCause(object.cause), object.reason ?? null, "there");
      case "error": return this.#handleRefusal(object);
      default: return undefined;
    }
  }

  /** The device is on another network. Called by the session. */
  handleNetworkChange() {
    this.#recovery.handleNetworkChange();
  }

  /** The gateway is back. Called by the session. */
  handleReachable() {
    this.#recovery.handleReachable();
  }

  /** The session is gone, and the call with it. Called by the session. */
  handleLost() {
    this.#finish("unreachable", "The connection to the gateway was lost.", "link");
  }

  #handleAnswer(sdp, input) {
    if (typeof sdp !== "string") return this.#apply({ type: input });
    const isFirst = this.connection.remoteDescription === null && !this.#state.isEarly;
    const isRenegotiation = !isFirst && this.#negotiation.isOffering;
    this.#negotiation.handleAnswer(sdp).catch((error) => {
      // The first answer is the call: one that cannot be applied leaves no media. A later one leaves the old state.
      if (isFirst) this.end("not-acceptable", String(error?.message ?? error));
      else this.#fire("warning", String(error));
    });
    if (!isRenegotiation) this.#apply({ type: input });
  }

  /** Nothing but messages belongs on the channel. */
  #handleChannelObject(object) {
    if (object.type === "error") this.#fire("warning", String(object.reason ?? object.code));
    else this.#wire.handleChannelObject(object, this.#way);
  }

  #handleChannelChange(isOpen) {
    if (!isOpen) this.#wire.handleClosedWay(this.#way);
    this.#fire("channel", { isOpen });
  }

  #handleHeld(isHeld) {
    const isOurs = this.#holdAsked === isHeld;
    if (isOurs) this.#holdAsked = null;
    if (isOurs || (this.#state.isHeldHere && !isHeld)) this.#apply({ type: isHeld ? "held-here" : "resumed-here" });
    else this.#apply({ type: isHeld ? "held-there" : "resumed-there" });
    this.#applyMicrophone();
  }

  #askHold(isHeld) {
    if (this.#state.phase !== "talking" || this.#holdAsked === isHeld || this.#state.isHeldHere === isHeld) return;
    this.#holdAsked = isHeld;
    this.#wire.send({ type: isHeld ? "hold" : "resume-call", call: this.id });
    this.#applyMicrophone();
  }

  #handleSecurity(object) {
    const { localDescription, remoteDescription } = this.connection;
    this.#security = readSecurity(object, localDescription?.sdp, remoteDescription?.sdp);
    this.#fire("security", this.#security);
  }

  #handleRefusal(object) {
    const reason = object.reason ?? null;
    if (object.code === "unknown-call") return this.#finish("failed", reason, "there");
    if (object.code !== "not-acceptable" || !this.#negotiation.isOffering) this.#holdAsked = null;
    else if (this.connection.remoteDescription === null) return this.#finish("not-acceptable", reason, "there");
    else this.#negotiation.handleRefusal();
    this.#applyMicrophone();
    this.#fire("refused", new ProcomError(String(object.code), reason ?? ""));
  }

  /** @returns {Promise<boolean>} false when the call ended while the user was asked for the microphone */
  async #attachMedia({ channel = false, ...media }) {
    await this.#microphone.open(media);
    if (this.isEnded) {
      this.#microphone.release();
      return false;
    }
    await this.#microphone.attach(this.connection);
    if (channel && this.direction === "outgoing") this.#channel.open();
    this.#applyMicrophone();
    return true;
  }

  #watch() {
    this.connection.addEventListener("track", ({ track }) => {
      this.stream.addTrack(track);
      this.#fire("media", { stream: this.stream });
    });
    this.connection.addEventListener("connectionstatechange", () => {
      this.#fire("path", { state: this.connection.connectionState });
    });
  }

  /** Offers are possible once the first exchange is over and the gateway can hear of them. */
  #canOffer() {
    return !this.isEnded && this.connection.remoteDescription !== null && this.#wire.isReachable();
  }

  #applyMicrophone() {
    const isHeld = this.#state.isHeldHere || this.#holdAsked === true;
    this.#microphone.setHeard(!this.#isMuted && !isHeld);
  }

  #fail(error) {
    // A call that ends while its media is being prepared breaks the preparation: no failure of its own.
    if (this.isEnded) return;
    this.#fire("failed", error);
    this.end("failed", error?.message ?? String(error));
  }

  #finish(cause, reason, by) {
    if (this.isEnded) return;
    this.#recovery.close();
    this.#negotiation.close();
    this.#channel.close();
    this.connection.close();
    this.#microphone.release();
    this.#apply({ type: "ended", cause, reason, by });
  }

  /** @param {import("./call-state.js").CallInput} input */
  #apply(input) {
    const before = this.#state;
    this.#state = step(before, input);
    if (this.#state === before) return;
    if (input.type === "answered") this.#answeredAt = performance.now();
    this.#fireState();
  }

  #fireState() {
    const { cause, reason } = this.#state;
    this.#fire("state", { state: this.state, cause, reason });
  }

  #fire(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
