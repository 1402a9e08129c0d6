/**
 * The states of a call as a client sees them. Pure: a state and an input give the next state.
 *
 *     new --dialled--> calling --rung--> ringing --answered--> talking --ended--> ended
 *      \--arrived--> incoming --picked-up--> answering --answered--^
 *
 * Hold is two flags of a talking call, because either side may hold and both may at once.
 * @module sdk/call-state
 */

/**
 * @typedef {"new"|"calling"|"ringing"|"incoming"|"answering"|"talking"|"ended"} Phase
 * @typedef {"calling"|"ringing"|"incoming"|"answering"|"in-call"|"held"|"ended"} StateName
 * @typedef {object} CallState
 * @property {Phase} phase
 * @property {boolean} isEarly media was set up before the answer (`progress`)
 * @property {boolean} isHeldHere this side holds the call
 * @property {boolean} isHeldThere the far side holds the call
 * @property {string|null} cause why it ended
 * @property {string|null} reason the same as a sentence, if the gateway gave one
 * @property {"here"|"there"|"link"|null} endedBy this side, the far side, or the lost connection to the gateway
 */

/**
 * @typedef {{type: "dialled"|"arrived"|"rung"|"progressed"|"picked-up"|"answered"
 *     |"held-here"|"resumed-here"|"held-there"|"resumed-there"}
 *   | {type: "ended", cause: string, reason?: string|null, by: "here"|"there"|"link"}} CallInput
 */

/** @type {Readonly<CallState>} */
export const NEW_CALL = Object.freeze({
  phase: "new", isEarly: false, isHeldHere: false, isHeldThere: false, cause: null, reason: null, endedBy: null,
});

/** Which phases an input is valid in, and what it changes. */
const STEPS = Object.freeze({
  "dialled": { from: ["new"], change: { phase: "calling" } },
  "arrived": { from: ["new"], change: { phase: "incoming" } },
  "rung": { from: ["calling"], change: { phase: "ringing" } },
  "progressed": { from: ["calling", "ringing"], change: { isEarly: true } },
  "picked-up": { from: ["incoming"], change: { phase: "answering" } },
  "answered": { from: ["calling", "ringing", "answering"], change: { phase: "talking" } },
  "held-here": { from: ["talking"], change: { isHeldHere: true } },
  "resumed-here": { from: ["talking"], change: { isHeldHere: false } },
  "held-there": { from: ["talking"], change: { isHeldThere: true } },
  "resumed-there": { from: ["talking"], change: { isHeldThere: false } },
});

/**
 * Takes one input.
 * @param {Readonly<CallState>} state
 * @param {CallInput} input
 * @returns {Readonly<CallState>} the same object when the input is stale: wires cross, so late inputs are normal
 */
export function step(state, input) {
  if (state.phase === "ended") return state;
  if (input.type === "ended") {
    const { cause, reason = null, by } = input;
    return Object.freeze({ ...state, phase: "ended", cause, reason, endedBy: by });
  }
  const { from, change } = STEPS[input.type];
  if (!from.includes(state.phase)) return state;
  return Object.freeze({ ...state, ...change });
}

/**
 * Names a state for people and programs.
 * @param {Readonly<CallState>} state
 * @returns {StateName}
 */
export function stateName(state) {
  if (state.phase === "talking") return state.isHeldHere || state.isHeldThere ? "held" : "in-call";
  return state.phase === "new" ? "calling" : state.phase;
}

/**
 * The cause this side gives when its user ends the call now.
 * @param {Readonly<CallState>} state
 * @returns {string}
 */
export function causeOfLeaving(state) {
  if (state.phase === "talking") return "normal";
  return state.phase === "incoming" || state.phase === "answering" ? "declined" : "cancelled";
}
