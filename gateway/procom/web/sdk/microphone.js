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

  /**
   * Puts the tracks on their way: on what was agreed before there was a track, else as something new to offer.
   * @param {RTCPeerConnection} connection
   */
  async attach(connection) {
    for (const track of this.#stream?.getTracks() ?? []) {
      const isWaiting = ({ sender, receiver, direction }) =>
        direction === "sendrecv" && sender.track === null && receiver.track.kind === track.kind;
      const waiting = connection.getTransceivers().find(isWaiting);
      if (waiting) await waiting.sender.replaceTrack(track);
      else connection.addTrack(track, this.#stream);
    }
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

/**
 * Whether media can be had without asking the person: it was brought along, or the microphone is already allowed.
 * @param {{media?: MediaStream}} options
 */
export async function isMicrophoneGranted({ media }) {
  if (media) return true;
  try {
    const status = await navigator.permissions.query({ name: /** @type {PermissionName} */ ("microphone") });
    return status.state === "granted";
  } catch {
    // A browser that cannot tell will ask.
    return false;
  }
}
