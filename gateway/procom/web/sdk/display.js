/**
 * Making harmless what strangers wrote, before it is shown. Pure; what goes over the wire stays as it is.
 *
 * Control characters are dropped, overrides and embeddings of direction (Unicode Standard Annex 9) too, because
 * they can make a text read otherwise than it is; right-to-left text itself needs none of them. So are characters
 * nobody can see, but for those that join letters and emoji. An address that is not plain ASCII is shown in a form
 * that is, so that one letter cannot pass for another. A name is whatever its owner claims: one that mixes scripts
 * whose letters look alike (Unicode Technical Standard 39 §5), or that reads like an address, is not shown at all.
 * @module sdk/display
 */

/** C0 and C1 without tab and line feed, line and paragraph separators, and byte order marks. */
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\ufeff]/gu;
/** Embeddings, overrides, isolates and their ends. */
const DIRECTIONS = /[\u202a-\u202e\u2066-\u2069]/gu;
/** Zero-width space, soft hyphen, word joiner and invisible operators, deprecated and interlinear marks. */
const UNSEEN = /[\u00ad\u180e\u200b\u2060-\u2065\u206a-\u206f\ufff9-\ufffb]/gu;
/** Tags are part of a flag, and hidden text anywhere else. */
const TAGS = /(?<!\u{1f3f4}[\u{e0000}-\u{e007f}]*)[\u{e0000}-\u{e007f}]+/gu;
/** More marks on one letter than any language has: they would grow over the lines around. */
const PILES = /(\p{Mn}{8})\p{Mn}+/gu;
/** Everything that only formats, joiners and marks of direction among it. */
const FORMATS = /[\p{Cf}\p{Co}\p{Cn}]/gu;
/** Scripts with letters that look like those of another. */
const ALIKE = Object.freeze([
  /\p{Script=Latin}/u, /\p{Script=Cyrillic}/u, /\p{Script=Greek}/u, /\p{Script=Armenian}/u, /\p{Script=Cherokee}/u,
  /\p{Script=Coptic}/u, /\p{Script=Lisu}/u,
]);
const LONGEST_NAME = 64;
const LINE_ENDS = /\r\n?|[\u2028\u2029]/gu;

/**
 * @param {unknown} text a message's body, a name
 * @returns {string}
 */
export function harmless(text) {
  const seen = String(text ?? "").replace(LINE_ENDS, "\n").replace(DIRECTIONS, "").replace(CONTROLS, "");
  return seen.replace(UNSEEN, "").replace(TAGS, "").replace(PILES, "$1");
}

/**
 * @param {unknown} name what somebody claims to be called
 * @returns {string} in one line; empty where it would deceive, so that the address is shown instead
 */
export function plainName(name) {
  const line = harmless(name).normalize("NFKC").replace(FORMATS, "").replace(/\s+/gu, " ").trim();
  const isMixed = (word) => ALIKE.filter((script) => script.test(word)).length > 1;
  const isAddress = /@|^(procom|sips?|tel|sms|xmpp):/iu.test(line) || (/\d/u.test(line) && /^[+\d\s().\/-]{3,}$/u.test(line));
  if (isAddress || line.split(" ").some(isMixed)) return "";
  return [...line].slice(0, LONGEST_NAME).join("");
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
