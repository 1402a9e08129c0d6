/**
 * Offer and answer of one call over one `RTCPeerConnection` (RFC 3264, RFC 8829), with trickled candidates.
 *
 *     offer() --sdp--> wire            wire --offer--> handleOffer() --answer--> wire
 *     wire --answer--> handleAnswer()  wire --candidate--> handleCandidate()
 *
 * Every step waits for the one before it, so that descriptions and candidates are applied in the order of the wire.
 * One offer is outstanding at most; when both sides offer at once this side is polite and rolls back.
 * @module sdk/negotiation
 */

/** Owns the order in which descriptions reach the connection. */
export class Negotiation {
  #connection;
  #send;
  #warn;
  #tail = Promise.resolve();
  #isClosed = false;
  /** Candidates of ours that wait until the wire knows the call. */
  #held = [];
  #isAnnounced = false;
  /** Candidates of theirs that wait for their description. */
  #waiting = [];
  /** An offer of ours is wanted as soon as no other is outstanding. */
  #isOfferWanted = false;

  /**
   * @param {RTCPeerConnection} connection
   * @param {(object: Record<string, unknown>) => void} send adds the call's id and puts the object on the wire
   * @param {(text: string) => void} warn
   */
  constructor(connection, send, warn) {
    this.#connection = connection;
    this.#send = send;
    this.#warn = warn;
    connection.addEventListener("icecandidate", (event) => this.#handleGathered(event.candidate));
  }

  /** @returns {boolean} whether an offer of ours waits for its answer */
  get isOffering() {
    return this.#connection.signalingState === "have-local-offer";
  }

  /** @returns {Promise<string>} the first offer; send it, then call {@link Negotiation#announce} */
  offer() {
    return this.#queue(async () => {
      await this.#connection.setLocalDescription(await this.#connection.createOffer());
      return this.#connection.localDescription.sdp;
    });
  }

  /**
   * Takes the caller's offer and makes the answer while the call still rings: the path is built meanwhile. Both
   * directions are agreed before there is a track to send.
   * @param {string} sdp
   */
  takeOffer(sdp) {
    return this.#queue(async () => {
      await this.#applyRemote({ type: "offer", sdp });
      for (const transceiver of this.#connection.getTransceivers()) transceiver.direction = "sendrecv";
      await this.#makeAnswer();
    });
  }

  /** @returns {Promise<string>} the answer to {@link Negotiation#takeOffer}; send it, then call `announce` */
  answer() {
    return this.#queue(() => this.#connection.localDescription.sdp);
  }

  /** The wire now knows the call: candidates may follow. */
  announce() {
    this.#isAnnounced = true;
    for (const object of this.#held.splice(0)) this.#send(object);
  }

  /**
   * Applies the answer to our outstanding offer; one that answers nothing is stale and dropped.
   * @param {string} sdp
   */
  handleAnswer(sdp) {
    return this.#queue(async () => {
      if (!this.isOffering) return;
      await this.#applyRemote({ type: "answer", sdp });
      this.#offerIfWanted();
    });
  }

  /**
   * Answers an offer within the call. If ours crosses it, `setRemoteDescription` rolls ours back (RFC 8829 §4.1.10.2)
   * and it is made again afterwards. An offer that cannot be taken is refused and the old state stands.
   * @param {string} sdp
   */
  handleOffer(sdp) {
    return this.#queue(async () => {
      if (this.isOffering) this.#isOfferWanted = true;
      try {
        await this.#applyRemote({ type: "offer", sdp });
        this.#send({ type: "answer", sdp: await this.#makeAnswer() });
      } catch (error) {
        await this.#rollBack();
        this.#send({ type: "error", code: "not-acceptable", reason: String(error?.message ?? error) });
      }
      this.#offerIfWanted();
    });
  }

  /** The gateway refused our offer within the call: the old state stands. */
  handleRefusal() {
    return this.#queue(async () => {
      if (this.isOffering) await this.#rollBack();
    });
  }

  /**
   * @param {RTCIceCandidateInit|null} candidate theirs; `null` at the end
   */
  handleCandidate(candidate) {
    return this.#queue(async () => {
      if (this.#connection.remoteDescription === null) this.#waiting.push(candidate);
      else await this.#addCandidate(candidate);
    });
  }

  /** Offers anew as soon as nothing is outstanding: a restart of ICE, another direction, another track. */
  renegotiate() {
    return this.#queue(async () => {
      this.#isOfferWanted = true;
      this.#offerIfWanted();
    });
  }

  /** Stops everything that still waits. */
  close() {
    this.#isClosed = true;
  }

  #offerIfWanted() {
    if (!this.#isOfferWanted || this.#connection.signalingState !== "stable") return;
    this.#isOfferWanted = false;
    this.offer().then((sdp) => sdp && this.#send({ type: "offer", sdp }), (error) => this.#warn(String(error)));
  }

  async #makeAnswer() {
    await this.#connection.setLocalDescription(await this.#connection.createAnswer());
    return this.#connection.localDescription.sdp;
  }

  async #applyRemote(description) {
    await this.#connection.setRemoteDescription(description);
    for (const candidate of this.#waiting.splice(0)) await this.#addCandidate(candidate);
  }

  async #rollBack() {
    if (["stable", "closed"].includes(this.#connection.signalingState)) return;
    const isOurs = this.isOffering;
    const rollback = /** @type {RTCSessionDescriptionInit} */ ({ type: "rollback" });
    await (isOurs ? this.#connection.setLocalDescription(rollback) : this.#connection.setRemoteDescription(rollback));
  }

  /** A candidate that does not fit (of an older ICE generation, say) is a warning and never ends a call. */
  async #addCandidate(candidate) {
    try {
      await this.#connection.addIceCandidate(candidate ?? undefined);
    } catch (error) {
      this.#warn(`A candidate was not taken: ${error?.message ?? error}`);
    }
  }

  #handleGathered(candidate) {
    // An empty candidate string ends one generation only; the wire marks the end of all by `null`.
    if (this.#isClosed || candidate?.candidate === "") return;
    const object = { type: "candidate", candidate: candidate === null ? null : candidate.toJSON() };
    if (this.#isAnnounced) this.#send(object);
    else this.#held.push(object);
  }

  /**
   * @template T
   * @param {() => T|Promise<T>} task
   * @returns {Promise<T|undefined>}
   */
  #queue(task) {
    const run = () => (this.#isClosed ? undefined : task());
    const result = this.#tail.then(run);
    this.#tail = result.then(() => undefined, () => undefined);
    return result;
  }
}
