/**
 * What Profon says, in one place: every sentence for a state, an end, a level of protection or an error. Pure.
 * @module profon/words
 */

import { harmless, plainAddress, plainName } from "../sdk/display.js";

/** The gateway's own far end, which plays the caller's voice back. */
export const ECHO = "procom:echo";

const NETWORKS = Object.freeze({ procom: "Procom", sip: "SIP", xmpp: "XMPP", gsm: "Mobile network" });

const PROTECTIONS = Object.freeze({
  "dtls-srtp": "DTLS-SRTP", zrtp: "ZRTP", sdes: "SDES-SRTP", clear: "not encrypted",
});

/** How each level is named and explained. `hasLock` is true only where nobody outside can listen. */
const LEVELS = Object.freeze({
  e2ee: {
    title: "End-to-end encrypted", hasLock: true, icon: "lock",
    words: "Only you and the other person hold the keys. The gateway cannot listen.",
  },
  hop: {
    title: "Encrypted on every stretch", hasLock: true, icon: "lock",
    words: "Nobody on the way can listen, but the gateway holds the keys and could.",
  },
  exposed: {
    title: "Encrypted, keys exposed", hasLock: false, icon: "eye",
    words: "The keys of one stretch were sent readably. Whoever saw them can listen.",
  },
  clear: {
    title: "Not protected", hasLock: false, icon: "open",
    words: "One stretch is not encrypted. Others on the way may listen. Say nothing secret.",
  },
});

const UNKNOWN = Object.freeze({
  title: "Protection not known yet", hasLock: false, icon: "open",
  words: "The gateway has not reported it. Until it does, take the call as open.",
});

/** Why a call ended, and what to do next. Written from the side of the person in front of the page. */
const ENDS = Object.freeze({
  normal: "The call has ended.",
  busy: "They are on another call. Try again in a few minutes.",
  declined: "The call was declined.",
  "no-answer": "Nobody answered. Try again later, or send a message.",
  cancelled: "The call was given up before it was answered.",
  "answered-elsewhere": "The call was answered on another device.",
  transferred: "The call was handed over and goes on without you.",
  "not-found": "Nobody has this number or address. Check it and try again.",
  unreachable: "They cannot be reached right now. Try again later.",
  "not-acceptable": "The two ends share no way to talk to each other.",
  forbidden: "You may not call this number or address. Ask whoever runs the gateway.",
  security: "The call could not be protected as asked, so it was not made.",
  "media-timeout": "No sound came through any more. Check the network and call again.",
  overload: "The gateway has too much to do. Try again in a minute.",
  failed: "Something went wrong. Call again; if it happens once more, tell whoever runs the gateway.",
  shutdown: "The gateway is being restarted. Call again in a minute.",
});

const STATES = Object.freeze({
  calling: "Calling", ringing: "Ringing", incoming: "Incoming call", answering: "Answering",
  "in-call": "Connected", held: "On hold", ended: "Ended",
});

const CONNECTIONS = Object.freeze({
  idle: "Signed out", connecting: "Connecting", connected: "Online", reconnecting: "Reconnecting", closed: "Signed out",
});

const MICROPHONE = Object.freeze({
  NotAllowedError: "Profon may not use the microphone. Allow it in the address bar, then call again.",
  NotFoundError: "No microphone was found. Plug one in, then call again.",
  NotReadableError: "Another program uses the microphone. Close it, then call again.",
});

const LEAVING = Object.freeze({
  normal: "You hung up.", cancelled: "You gave up the call.", declined: "You declined the call.",
  busy: "You were on other calls.",
});

/** @param {string} level @returns {{title: string, words: string, hasLock: boolean, icon: string}} */
export function wordsOfLevel(level) {
  return LEVELS[level] ?? LEVELS.clear;
}

/**
 * @param {import("../sdk/security.js").Security|null} security null while the gateway has not reported it
 * @returns {{title: string, words: string, hasLock: boolean, icon: string}}
 */
export function wordsOfSecurity(security) {
  if (!security) return UNKNOWN;
  if (!security.isDoubtful) return wordsOfLevel(security.level);
  return {
    title: "Protection in doubt", hasLock: false, icon: "open",
    words: "The gateway says end-to-end, but the keys in use are not the ones it names. Trust nothing said here.",
  };
}

/** @param {string} network */
export function wordsOfNetwork(network) {
  return NETWORKS[network] ?? network;
}

/**
 * Names one stretch of a call, seen from this side.
 * @param {{network: string}} leg
 * @param {number} index from this side on
 * @param {string} level of the call
 * @returns {string}
 */
export function wordsOfLeg({ network }, index, level) {
  if (index > 0) return `Gateway to them (${wordsOfNetwork(network)})`;
  return level === "e2ee" ? "Your side" : "You to gateway";
}

/** @param {string} protection */
export function wordsOfProtection(protection) {
  return PROTECTIONS[protection] ?? protection;
}

/** @param {string[]} holders @returns {string} */
export function wordsOfHolders(holders) {
  if (holders.length === 0) return "";
  const names = holders.map((holder) => (holder === "gateway" ? "the gateway" : holder));
  const last = names.pop();
  return `Keys held by ${names.length > 0 ? `${names.join(", ")} and ` : ""}${last}.`;
}

/**
 * @param {{cause: string|null, reason: string|null, endedBy: string|null}} details
 * @param {Error|null} [error] what kept the call from starting, if the SDK knows
 * @returns {string}
 */
export function wordsOfEnd({ cause, reason, endedBy }, error = null) {
  if (error) return MICROPHONE[error.name] ?? `${ENDS.failed} (${error.message})`;
  if (endedBy === "here" && LEAVING[cause]) return LEAVING[cause];
  if (endedBy === "link") return "The connection to the gateway was lost. Check the network and call again.";
  const words = ENDS[cause] ?? ENDS.failed;
  return reason && cause !== "normal" ? `${words} The gateway says: ${reason}` : words;
}

/**
 * @param {string} state
 * @param {{isHeldHere: boolean, isHeldThere: boolean}} details
 */
export function wordsOfState(state, { isHeldHere, isHeldThere }) {
  if (state !== "held") return STATES[state] ?? state;
  if (isHeldHere && isHeldThere) return "On hold on both sides";
  return isHeldHere ? "On hold. The other side does not hear you" : "The other side put you on hold";
}

/** @param {string} state */
export function wordsOfConnection(state) {
  return CONNECTIONS[state] ?? state;
}

/** @param {{code?: string, reason?: string}} error why the session could not begin or go on */
export function wordsOfSignIn(error) {
  if (error.code === "unreachable") return "The gateway cannot be reached. Check the network, then sign in again.";
  if (error.code === "insecure-url") return "This page was not loaded over HTTPS. Open its https:// address.";
  const reason = error.reason?.trim() || "The gateway refused the sign-in.";
  return `${reason.replace(/([^.!?])$/, "$1.")} Check user and password, then sign in again.`;
}

/** @param {string} outcome of a transfer @param {string} to */
export function wordsOfTransfer(outcome, to) {
  if (outcome === "done") return `Transferred to ${to}.`;
  const [why] = (ENDS[outcome] ?? ENDS.failed).split(". ");
  return `The transfer to ${to} did not work. ${why.replace(/\.?$/, ".")} You are still in the call.`;
}

/** What stands under the address field when nothing is typed. */
export const HINT = "A number, a name, or an address such as sip:bob@example.org";

/**
 * @param {{kind?: string, text?: string, ways: {network: string, level: string, notes: string[]}[], refusal?: string}} prospect
 * @returns {string} what a call to what was typed would become
 */
export function wordsOfProspect({ kind, text, ways, refusal }) {
  const [best] = ways;
  if (!best) return sentence(refusal ?? ENDS["not-found"]);
  const name = harmless(text && shortAddress(text));
  const who = [name, kind && (name ? `(${harmless(kind)})` : harmless(kind))].filter(Boolean).join(" ");
  const { title } = wordsOfLevel(best.level);
  const way = `by ${wordsOfNetwork(best.network)}: ${title[0].toLowerCase()}${title.slice(1)}.`;
  const notes = best.notes.map((note) => sentence(harmless(note)));
  // A name keeps its own first letter.
  return [who ? `${who}, ${way}` : sentence(way), ...notes].join(" ");
}

function sentence(text) {
  const whole = harmless(text).trim();
  return whole === "" ? "" : `${whole[0].toUpperCase()}${whole.slice(1)}`.replace(/([^.!?])$/, "$1.");
}

/** @param {{leg?: string, direction?: string, why?: string}} trouble */
export function wordsOfTrouble({ leg = "", direction = "", why = "" }) {
  const where = leg === "procom" ? "between you and the gateway" : `on the ${wordsOfNetwork(leg)} stretch`;
  const way = direction === "receive" ? "coming in" : direction === "send" ? "going out" : direction;
  return `Trouble ${where}, sound ${way}: ${why}`;
}

/** @param {number} mos 1 to 5 */
export function wordsOfMos(mos) {
  if (mos >= 4) return "very good";
  if (mos >= 3.6) return "good";
  if (mos >= 3.1) return "fair";
  return mos >= 2.6 ? "poor" : "bad";
}

/** @param {number} seconds @returns {string} such as 3:07 or 1:02:09 */
export function wordsOfDuration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** @param {string} address @returns {string} without the scheme, in letters that cannot pass for others */
export function shortAddress(address) {
  return plainAddress(address).replace(/^(procom|sips?|xmpp|tel):/, "");
}

/** @param {{display: string|null, peer: string}} call @returns {string} */
export function nameOf(call) {
  const display = plainName(call.display);
  if (display) return display;
  if (call.peer === ECHO) return "Echo";
  return shortAddress(call.peer);
}

/** @param {string} name @returns {string} one letter, or nothing for a number */
export function initialOf(name) {
  return /^\p{L}/u.test(name) ? name[0].toUpperCase() : "";
}
