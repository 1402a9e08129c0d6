/**
 * Procom SDK: calls and messages over a Procom gateway, in any current browser, without dependencies.
 *
 *     import { connect } from "./procom.js";
 *
 *     const session = await connect({ user: "alice", password });
 *     const call = session.call("sip:bob@example.org");
 *     call.addEventListener("media", ({ detail }) => { audio.srcObject = detail.stream; });
 *     call.addEventListener("state", ({ detail }) => console.log(detail.state, detail.cause, detail.reason));
 *
 * A dropped socket is taken up again by itself, the media path is built anew when the network changes, and a page
 * that goes away ends its session. Passwords, tokens and the resume secret live in memory only. See `SDK.md`.
 * @module procom
 */

import { ProcomError } from "./sdk/causes.js";
import { Session } from "./sdk/session.js";

export { Call } from "./sdk/call.js";
export { CAUSES, ProcomError } from "./sdk/causes.js";
export { Typing, Typist } from "./sdk/composing.js";
export { isDigit } from "./sdk/digits.js";
export { deviceName } from "./sdk/device.js";
export { harmless, plainAddress, plainName } from "./sdk/display.js";
export { randomId } from "./sdk/random.js";
export { Session } from "./sdk/session.js";

/**
 * Signs in.
 * @param {object} options
 * @param {string|URL} [options.url] of the gateway: `wss://gateway.example/procom`; the page's own origin when left
 *   out. Plain `ws` is taken on loopback only.
 * @param {string} [options.user] with `password`
 * @param {string} [options.password]
 * @param {string} [options.token] a signed guest or demo token, instead of user and password
 * @param {string} [options.visitor] with a guest's token: a secret of this visitor's, 22 to 64 bytes, which makes the
 *   next session's guest the same one, so that answers find it
 * @param {string} [options.device] of an account: the name by which the gateway knows this device again, 22 to 64
 *   bytes, from {@link deviceName}; it then gets what came while it was away
 * @param {RTCConfiguration} [options.configuration] for every call, `iceTransportPolicy` for instance; the gateway's
 *   ICE servers are filled in
 * @returns {Promise<Session>}
 * @throws {ProcomError} with the gateway's own code and reason; `unreachable` when there is none; `insecure-url`
 */
export async function connect({ url = gatewayOf(location.href), user, password, token, visitor, device, configuration }) {
  if (!isProtected(new URL(url))) {
    throw new ProcomError("insecure-url", "Without TLS a gateway is only reached on this machine.");
  }
  const guest = { token, ...(visitor !== undefined && { visitor }) };
  const who = token === undefined ? { user, password } : guest;
  const credentials = { ...who, ...(device !== undefined && { device }) };
  return new Session({ url, credentials, configuration }).open();
}

/**
 * @param {string|URL} page
 * @returns {string} the gateway that serves a page
 */
export function gatewayOf(page) {
  const url = new URL("/procom", page);
  url.protocol = url.protocol === "http:" ? "ws:" : "wss:";
  return url.href;
}

function isProtected(url) {
  return url.protocol === "wss:" || /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
}
