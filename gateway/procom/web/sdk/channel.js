/**
 * The data channel `procom` inside a call: the same objects as on the socket, not counted and not replayed.
 * @module sdk/channel
 */

/** Its label on the wire. */
export const CHANNEL_LABEL = "procom";

/** At most one channel of one connection, opened by either side. */
export class ObjectChannel {
  #connection;
  #handleObject;
  #warn;
  /** @type {RTCDataChannel|null} */
  #channel = null;

  /**
   * @param {RTCPeerConnection} connection
   * @param {(object: Record<string, any>) => void} handleObject
   * @param {(text: string) => void} warn
   */
  constructor(connection, handleObject, warn) {
    this.#connection = connection;
    this.#handleObject = handleObject;
    this.#warn = warn;
    connection.addEventListener("datachannel", ({ channel }) => {
      if (channel.label === CHANNEL_LABEL) this.#watch(channel);
    });
  }

  /** Opens the channel; it becomes part of the next offer. */
  open() {
    this.#watch(this.#connection.createDataChannel(CHANNEL_LABEL));
  }

  /**
   * @param {Record<string, unknown>} object
   * @returns {boolean} whether the channel was open to take it
   */
  send(object) {
    if (this.#channel?.readyState !== "open") return false;
    this.#channel.send(JSON.stringify(object));
    return true;
  }

  #watch(channel) {
    this.#channel = channel;
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
