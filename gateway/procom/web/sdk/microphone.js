/**
 * What this side sends in a call: the microphone, or a stream the application brings.
 * @module sdk/microphone
 */

/** Holds the tracks of one call and lets go of them when it ends. */
export class Microphone {
  /** @type {MediaStream|null} */
  #stream = null;
  #isOurs = false;

  /**
   * Gets the media ready.
   * @param {{media?: MediaStream, audio?: MediaTrackConstraints|boolean}} options
   * @throws {DOMException} as `getUserMedia` does: `NotAllowedError`, `NotFoundError`, `NotReadableError`
   */
  async open({ media, audio = true }) {
    this.#isOurs = !media;
    this.#stream = media ?? (await navigator.mediaDevices.getUserMedia({ audio }));
  }

  /** @param {RTCPeerConnection} connection */
  attach(connection) {
    for (const track of this.#stream?.getTracks() ?? []) connection.addTrack(track, this.#stream);
  }

  /** @param {boolean} isHeard false sends silence, which keeps the path alive */
  setHeard(isHeard) {
    for (const track of this.#stream?.getAudioTracks() ?? []) track.enabled = isHeard;
  }

  /** Stops what was opened here; a stream of the application is its own to stop. */
  release() {
    if (this.#isOurs) for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
  }
}
