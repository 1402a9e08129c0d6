/**
 * Sends dialled digits: in the media where the far side takes them there (RFC 4733), else as objects.
 * @module sdk/digits
 */

/** How long a digit sounds, ms. */
export const DIGIT_MS = 160;
const GAP_MS = 70;

/**
 * @param {string} digit
 * @returns {boolean} whether a telephone can send it
 */
export function isDigit(digit) {
  return /^[0-9*#A-D]$/.test(digit);
}

/**
 * Finds the sender that can put digits into the media of this call.
 * @param {RTCPeerConnection} connection
 * @returns {RTCDTMFSender|null} null when the negotiated media carries no `telephone-event`
 */
export function digitSender(connection) {
  const isCarried = /^a=rtpmap:\d+ telephone-event\//im.test(connection.remoteDescription?.sdp ?? "");
  if (!isCarried) return null;
  const sender = connection.getSenders().find((candidate) => candidate.track?.kind === "audio");
  return sender?.dtmf?.canInsertDTMF ? sender.dtmf : null;
}

/**
 * Adds one digit behind those still being sent: `insertDTMF` alone would replace them.
 * @param {RTCDTMFSender} sender
 * @param {string} digit
 */
export function insertDigit(sender, digit) {
  sender.insertDTMF(sender.toneBuffer + digit, DIGIT_MS, GAP_MS);
}
