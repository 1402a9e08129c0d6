/**
 * The strip: how the call in front is protected, stretch by stretch, who holds keys, and how it sounds.
 *
 * A lock stands only where nobody outside the call and the gateway can listen (`hop`, `e2ee`).
 * @module profon/strip
 */

import { byId, make, say, setIcon, show } from "./dom.js";
import { wordsOfHolders, wordsOfLeg, wordsOfMos, wordsOfNetwork, wordsOfProtection, wordsOfSecurity } from "./words.js";

/**
 * @param {import("../sdk/security.js").Security|null} security null while it is not known
 * @param {boolean} isShown
 */
export function showSecurity(security, isShown) {
  show("strip", isShown);
  const strip = byId("strip");
  const level = security?.level ?? "none";
  strip.dataset.level = level;
  strip.toggleAttribute("data-doubtful", security?.isDoubtful ?? false);
  const { title, words, hasLock, icon } = wordsOfSecurity(security);
  say("strip-title", title);
  say("strip-words", words);
  setIcon("strip-use", icon);
  byId("strip-icon").dataset.icon = hasLock ? "lock" : icon;
  byId("strip-legs").replaceChildren(...(security?.legs ?? []).map((leg, index) => showLeg(leg, index, level)));
  show("strip-legs", Boolean(security));
  say("strip-keys", wordsOfHolders(security?.keys ?? []));
  showCodes(security);
}

function showLeg(leg, index, level) {
  const { network, protection, suite } = leg;
  const item = make("li", { "data-network": network, "data-protection": protection },
    make("span", { class: "leg-network" }, wordsOfLeg(leg, index, level)),
    make("span", { class: "leg-protection" }, wordsOfProtection(protection)));
  if (suite) {
    item.dataset.suite = suite;
    item.append(make("span", { class: "leg-suite" }, suite.replaceAll("_", " ")));
  }
  return item;
}

function showCodes(security) {
  show("strip-codes", security !== null);
  if (!security) return;
  const { level, fingerprints, legs, verified } = security;
  const rows = legs.filter((leg) => leg.sas).map((leg) => row(`${wordsOfNetwork(leg.network)}, spoken code`, leg.sas));
  if (fingerprints.local) rows.push(row("Your key", grouped(fingerprints.local)));
  if (fingerprints.remote) rows.push(row(level === "e2ee" ? "Their key" : "The gateway's key", grouped(fingerprints.remote)));
  show("strip-codes", rows.length > 0);
  byId("codes").replaceChildren(...rows);
  say("codes-words", wordsOfCodes(level, verified));
}

function wordsOfCodes(level, isVerified) {
  const proof = isVerified ? " The gateway has proof of who they are." : "";
  if (level !== "e2ee") {
    return `These belong to single stretches. A spoken code is the same on the phone at the end of its stretch.${proof}`;
  }
  return `Read them to each other. If both of you see the same two keys, nobody is in between.${proof}`;
}

function row(name, value) {
  return make("div", {}, make("dt", {}, name), make("dd", {}, value));
}

/** Splits a fingerprint into groups that can be read aloud. */
function grouped(fingerprint) {
  const [, algorithm = "", digits = fingerprint] = /^(\S+)\s+(.+)$/.exec(fingerprint) ?? [];
  const groups = digits.replaceAll(":", "").toUpperCase().match(/.{1,4}/g) ?? [];
  return `${algorithm} ${groups.join(" ")}`.trim();
}

/** @param {{mos?: number, loss?: number, jitter_ms?: number, rtt_ms?: number}|null} quality loss is a fraction */
export function showQuality(quality) {
  show("quality", quality !== null);
  const { mos, loss, jitter_ms, rtt_ms } = quality ?? {};
  const meters = byId("quality");
  meters.dataset.mos = Number.isFinite(mos) ? String(mos) : "";
  meters.dataset.loss = Number.isFinite(loss) ? String(loss) : "";
  meters.dataset.grade = Number.isFinite(mos) ? wordsOfMos(mos).replace(" ", "-") : "";
  say("quality-mos", Number.isFinite(mos) ? `${mos.toFixed(1)} ${wordsOfMos(mos)}` : "...");
  say("quality-loss", Number.isFinite(loss) ? `${(loss * 100).toFixed(1)} %` : "...");
  say("quality-jitter", Number.isFinite(jitter_ms) ? `${Math.round(jitter_ms)} ms` : "...");
  say("quality-rtt", Number.isFinite(rtt_ms) ? `${Math.round(rtt_ms)} ms` : "...");
}
