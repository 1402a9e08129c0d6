/**
 * Randomness for ids and jitter. WebCrypto only: `Math.random` is predictable and not used anywhere in the SDK.
 * @module sdk/random
 */

/**
 * Makes an identifier nobody can guess.
 * @param {string} prefix one or two letters that say what it names
 * @param {number} [bytes] of randomness
 * @returns {string} the prefix followed by hexadecimal digits
 */
export function randomId(prefix, bytes = 8) {
  const octets = crypto.getRandomValues(new Uint8Array(bytes));
  return prefix + Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
}

/** @returns {number} a uniform fraction, 0 inclusive to 1 exclusive */
export function randomFraction() {
  return crypto.getRandomValues(new Uint32Array(1))[0] / 2 ** 32;
}
