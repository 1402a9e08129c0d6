/**
 * Making harmless what strangers wrote, before it is shown. Pure; what goes over the wire stays as it is.
 *
 * Control characters are dropped, overrides and embeddings of direction (Unicode Standard Annex 9) too, because
 * they can make a text read otherwise than it is; right-to-left text itself needs none of them. An address that is
 * not plain ASCII is shown in a form that is, so that one letter cannot pass for another.
 * @module sdk/display
 */

/** C0 and C1 without tab and line feed, line and paragraph separators, and byte order marks. */
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\ufeff]/gu;
/** Embeddings, overrides, isolates and their ends. */
const DIRECTIONS = /[\u202a-\u202e\u2066-\u2069]/gu;
const LINE_ENDS = /\r\n?|[\u2028\u2029]/gu;

/**
 * @param {unknown} text a message's body, a name
 * @returns {string}
 */
export function harmless(text) {
  return String(text ?? "").replace(LINE_ENDS, "\n").replace(DIRECTIONS, "").replace(CONTROLS, "");
}

/**
 * @param {unknown} address a URI
 * @returns {string} in ASCII: the host as punycode (RFC 3492), other letters percent-encoded
 */
export function plainAddress(address) {
  const text = harmless(address).replaceAll("\n", "");
  if (/^[\u0020-\u007e]*$/u.test(text)) return text;
  const at = text.lastIndexOf("@");
  if (at < 0) return encode(text);
  const [host, ...parameters] = text.slice(at + 1).split(";");
  return [`${encode(text.slice(0, at))}@${punycode(host)}`, ...parameters.map(encode)].join(";");
}

function encode(text) {
  return text.replace(/[^\u0020-\u007e]+/gu, (letters) => {
    try {
      return encodeURIComponent(letters);
    } catch {
      return "%EF%BF%BD";
    }
  });
}

function punycode(host) {
  try {
    return new URL(`https://${host}/`).host;
  } catch {
    return encode(host);
  }
}
