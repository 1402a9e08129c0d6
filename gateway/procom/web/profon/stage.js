/**
 * Draws the call in front and the list of the others. Draws only: what a press does is `profon.js`'s business.
 * @module profon/stage
 */

import { byId, make, say, setIcon, show } from "./dom.js";
import { showQuality, showSecurity } from "./strip.js";
import { ECHO, initialOf, nameOf, shortAddress, wordsOfDuration, wordsOfEnd, wordsOfState, wordsOfTrouble } from "./words.js";

const IS_TALKING = new Set(["in-call", "held"]);

/**
 * @param {import("./record.js").CallRecord|null} record the call in front
 * @param {import("./record.js").CallRecord[]} others
 */
export function drawStage(record, others) {
  const call = record?.call ?? null;
  const state = stateOf(call);
  drawWho(record, state);
  drawControls(call, state);
  const isTalking = IS_TALKING.has(state);
  showSecurity(call?.security ?? null, isTalking || (state === "ringing" && call?.security !== null));
  showQuality(isTalking ? (record?.quality ?? {}) : null);
  drawTrouble(isTalking ? record : null);
  show("digits-row", Boolean(record?.digits));
  say("digits-received", record?.digits ?? "");
  drawOthers(others);
}

/** @returns {string} as `data-state` shows it */
export function stateOf(call) {
  if (!call) return "idle";
  return call.state === "answering" ? "incoming" : call.state;
}

/** @param {import("../sdk/call.js").Call|null} call */
export function drawTimer(call) {
  const isRunning = call?.answeredAt != null && !call.isEnded;
  show("timer", isRunning);
  if (isRunning) say("timer", wordsOfDuration((performance.now() - call.answeredAt) / 1000));
}

function drawWho(record, state) {
  const call = record?.call ?? null;
  const name = call ? nameOf(call) : "No call";
  const address = call && call.peer !== ECHO ? shortAddress(call.peer) : "";
  byId("stage").dataset.state = state;
  byId("face").dataset.state = state;
  say("face-letter", initialOf(call ? name : ""));
  byId("face").classList.toggle("has-letter", Boolean(call && initialOf(name)));
  say("call-peer", name);
  say("call-address", address === name ? "" : address);
  const words = byId("call-state");
  words.dataset.state = state;
  if (call) words.dataset.call = call.id;
  if (call?.isEnded) words.dataset.cause = call.details.cause;
  else delete words.dataset.cause;
  say("call-state", wordsOf(record, state));
  drawTimer(call);
}

function wordsOf(record, state) {
  if (!record) return "Nobody is on the line.";
  const { call, path, error } = record;
  if (state === "ended") return wordsOfEnd(call.details, error);
  if (IS_TALKING.has(state) && (path === "failed" || path === "disconnected")) return "The sound is being reconnected";
  return wordsOfState(call.state, call.details) + (call.isMuted && state === "in-call" ? ", muted" : "");
}

function drawControls(call, state) {
  const isTalking = IS_TALKING.has(state);
  show("controls", isTalking);
  show("hang-up", call !== null && !call.isEnded && call.state !== "incoming");
  show("call-again", state === "ended");
  if (!isTalking) show("transfer-form", false);
  byId("transfer-toggle").setAttribute("aria-expanded", String(!byId("transfer-form").hidden));
  say("hang-up-text", isTalking ? "Hang up" : "Cancel");
  const isHeldHere = call?.details.isHeldHere ?? false;
  drawToggle("mute", call?.isMuted ?? false, "mic-off", "mic");
  drawToggle("hold", isHeldHere, "play", "pause");
}

function drawToggle(id, isOn, iconOn, iconOff) {
  byId(id).setAttribute("aria-pressed", String(isOn));
  setIcon(`${id}-use`, isOn ? iconOn : iconOff);
}

function drawTrouble(record) {
  const trouble = record?.trouble ?? null;
  show("trouble", trouble !== null);
  const banner = byId("trouble");
  banner.dataset.leg = trouble?.leg ?? "";
  banner.dataset.direction = trouble?.direction ?? "";
  say("trouble", trouble ? wordsOfTrouble(trouble) : "");
}

function drawOthers(others) {
  show("others", others.length > 0);
  const rows = others.map(({ call }) => {
    const button = make("button", { type: "button", class: "secondary", "data-switch": call.id }, "Switch");
    button.setAttribute("aria-label", `Switch to ${nameOf(call)}`);
    return make("li", { "data-call": call.id, "data-state": stateOf(call) },
      make("span", { class: "other-name" }, nameOf(call)),
      make("span", { class: "small" }, wordsOfState(call.state, call.details)), button);
  });
  const list = byId("calls");
  // Redrawing an unchanged list would take the focus from its buttons.
  const key = others.map(({ call }) => `${call.id} ${call.state}`).join();
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  list.replaceChildren(...rows);
}
