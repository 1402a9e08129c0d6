/**
 * Reads the `security` object and checks it against what this side knows for itself. Pure.
 *
 * The gateway says how a call is protected; a client need not believe all of it: the DTLS fingerprints stand in
 * its own SDP (RFC 8122 §5), and no call can be better protected than its weakest leg.
 * @module sdk/security
 */

const LEVELS = Object.freeze(["clear", "exposed", "hop", "e2ee"]);

/**
 * @typedef {{network: string, protection: string, suite: string|null, sas: string|null}} LegProtection
 * @typedef {object} Security
 * @property {"e2ee"|"hop"|"exposed"|"clear"} level
 * @property {boolean} verified the far end's identity is proven
 * @property {{local: string|null, remote: string|null}} fingerprints
 * @property {LegProtection[]} legs
 * @property {string[]} keys who holds the media keys
 * @property {boolean} isDoubtful an end-to-end claim that the fingerprints in the SDP do not bear out
 */

/**
 * @param {string|null|undefined} sdp
 * @returns {string[]} the fingerprints in it, in lower case
 */
export function fingerprintsOf(sdp) {
  return Array.from((sdp ?? "").matchAll(/^a=fingerprint:(.+)$/gm), (found) => found[1].trim().toLowerCase());
}

/**
 * @param {Record<string, any>} frame a `security` object
 * @param {string|null|undefined} localSdp
 * @param {string|null|undefined} remoteSdp
 * @returns {Readonly<Security>}
 */
export function readSecurity(frame, localSdp, remoteSdp) {
  const legs = list(frame.legs).map(readLeg);
  const fingerprints = { local: text(frame.fingerprints?.local), remote: text(frame.fingerprints?.remote) };
  const isBorneOut =
    isAmong(fingerprints.local, fingerprintsOf(localSdp)) && isAmong(fingerprints.remote, fingerprintsOf(remoteSdp));
  const level = weakest(frame.level, legs);
  return Object.freeze({
    level,
    verified: frame.verified === true,
    fingerprints,
    legs,
    keys: list(frame.keys).filter((holder) => typeof holder === "string"),
    isDoubtful: level === "e2ee" && !isBorneOut,
  });
}

/** @returns {Security["level"]} */
function weakest(claimed, legs) {
  // A level this version does not know is shown as no protection: better too careful than a false lock.
  const level = LEVELS.includes(claimed) ? claimed : "clear";
  return legs.some((leg) => leg.protection === "clear") ? "clear" : level;
}

/** @returns {LegProtection} */
function readLeg(leg) {
  return {
    network: text(leg?.network) ?? "unknown",
    protection: text(leg?.protection) ?? "clear",
    suite: text(leg?.suite),
    sas: text(leg?.sas),
  };
}

function isAmong(fingerprint, known) {
  return fingerprint !== null && known.includes(fingerprint.trim().toLowerCase());
}

function text(value) {
  return typeof value === "string" && value !== "" ? value : null;
}

function list(value) {
  return Array.isArray(value) ? value : [];
}
