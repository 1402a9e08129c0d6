/**
 * The data channel `procom` inside a call: the message objects of the socket, not counted and not replayed. The client
 * opens it; the gateway takes one for each call.
 *
 *     offer with a data channel, or the gateway's --> open() --> channel --object--> send
 *                                                                        --close---> what it had is said on the socket
 * @module sdk/channel
 */

/** Its label on the wire. */
export const CHANNEL_LABEL = "procom";

/** At most one channel of one connection. */
export class ObjectChannel {
  #connection;
  #handleObject;
  #handleChange;
  #warn;
  /** @type {RTCDataChannel|null} */
  #channel = null;

  /**
   * @param {RTCPeerConnection} connection
   * @param {object} wiring
   * @param {(object: Record<string, any>) => void} wiring.handleObject
   * @param {(isOpen: boolean) => void} wiring.handleChange
   * @param {(text: string) => void} wiring.warn
   */
  constructor(connection, { handleObject, handleChange, warn }) {
    this.#connection = connection;
    this.#handleObject = handleObject;
    this.#handleChange = handleChange;
    this.#warn = warn;
  }

  get isOpen() {
    return this.#channel?.readyState === "open";
  }

  /** Opens the channel; before the first description it becomes part of the offer. */
  open() {
    if (this.#channel === null) this.#watch(this.#connection.createDataChannel(CHANNEL_LABEL));
  }

  /**
   * @param {Record<string, unknown>} object
   * @returns {boolean} whether the channel took it; one that is too long for the channel goes another way
   */
  send(object) {
    if (!this.isOpen) return false;
    const text = JSON.stringify(object);
    const limit = this.#connection.sctp?.maxMessageSize ?? Infinity;
    if (new TextEncoder().encode(text).length > limit) return false;
    try {
      this.#channel.send(text);
      return true;
    } catch {
      // Its buffer is full, or it closed this moment.
      return false;
    }
  }

  /** The call is over, and the channel with it. */
  close() {
    const channel = this.#channel;
    this.#channel = null;
    if (channel === null) return;
    channel.close();
    this.#handleChange(false);
  }

  #watch(channel) {
    this.#channel = channel;
    const change = (isOpen) => {
      if (this.#channel === channel) this.#handleChange(isOpen);
    };
    channel.addEventListener("open", () => change(true));
    channel.addEventListener("close", () => change(false));
    channel.addEventListener("message", ({ data }) => {
      try {
        const object = JSON.parse(data);
        if (typeof object?.type === "string") this.#handleObject(object);
      } catch {
        this.#warn("The data channel carried something that is not an object.");
      }
    });
  }
}
