/**
 * Which of several calls is in front, and whether there is room for another. Pure.
 *
 * One call is talked to at a time; a second one that comes in waits, a further one beyond the room is told `busy`.
 * @module profon/desk
 */

/** Calls at once, ringing and held ones included. */
export const ROOM = 4;

const IS_LIVE = new Set(["calling", "ringing", "answering", "in-call", "held"]);

/** @typedef {{id: string, state: string, isEnded: boolean}} CallLike */

/**
 * Chooses the call that is shown.
 * @template {CallLike} C
 * @param {C[]} calls oldest first, ended ones excluded
 * @param {C|null} shown the one shown until now, ended or not
 * @returns {C|null} the one shown as long as it lives; then another live one; then the ended one, for its cause
 */
export function inFront(calls, shown) {
  if (shown && !shown.isEnded && IS_LIVE.has(shown.state)) return shown;
  const live = calls.filter((call) => IS_LIVE.has(call.state));
  const talking = live.find((call) => call.state !== "held");
  return talking ?? live.at(-1) ?? calls[0] ?? shown;
}

/**
 * @template {CallLike} C
 * @param {C[]} calls
 * @returns {C|null} the incoming call to be decided on next
 */
export function waiting(calls) {
  return calls.find((call) => call.state === "incoming") ?? null;
}

/**
 * @param {CallLike[]} calls the new one included
 * @returns {boolean} whether the newest finds room
 */
export function hasRoom(calls) {
  return calls.length <= ROOM;
}

/**
 * @template {CallLike} C
 * @param {C[]} calls
 * @param {C} next the call about to be talked to
 * @returns {C[]} calls to put on hold first, so that two far sides are never mixed
 */
export function toHold(calls, next) {
  return calls.filter((call) => call !== next && call.state === "in-call");
}
