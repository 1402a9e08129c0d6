/**
 * The causes with which a call may end, as the wire names them.
 * @module sdk/causes
 */

/** Every cause of the Procom wire. */
export const CAUSES = Object.freeze([
  "normal", "busy", "declined", "no-answer", "cancelled", "answered-elsewhere", "transferred", "not-found",
  "unreachable", "not-acceptable", "forbidden", "security", "media-timeout", "overload", "failed", "shutdown",
]);

/**
 * Reads a cause from the wire; one that a later version may add is kept readable as `failed`.
 * @param {unknown} cause
 * @returns {string} a member of {@link CAUSES}
 */
export function readCause(cause) {
  return CAUSES.includes(/** @type {string} */ (cause)) ? /** @type {string} */ (cause) : "failed";
}

/** An error the gateway reported or the SDK found; `code` is stable, `reason` is a sentence for a person. */
export class ProcomError extends Error {
  /**
   * @param {string} code
   * @param {string} reason
   */
  constructor(code, reason) {
    super(reason || code);
    this.name = "ProcomError";
    this.code = code;
    this.reason = reason;
  }
}
