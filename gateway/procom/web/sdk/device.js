/**
 * The name by which the gateway knows this browser again. Pure; a store is handed in, which may forget or fail.
 *
 * It is random, says nothing about the person, and proves nothing: who signs in still proves who they are. By it an
 * account's browser gets what came while it was closed, also what another device has had meanwhile.
 * @module sdk/device
 */

import { randomId } from "./random.js";

const KEY = "procom-device";
const FORM = /^[\u0021-\u007e]{22,64}$/u;

/**
 * @param {Pick<Storage, "getItem"|"setItem">|null} store where it is kept; none for a browser that remembers nothing
 * @returns {string|undefined} the name, made on the first call; undefined where it could not be kept
 */
export function deviceName(store) {
  try {
    const kept = store?.getItem(KEY);
    if (typeof kept === "string" && FORM.test(kept)) return kept;
    const name = randomId("d", 16);
    store?.setItem(KEY, name);
    return store?.getItem(KEY) === name ? name : undefined;
  } catch {
    // A forbidden store: a device without a name.
    return undefined;
  }
}
