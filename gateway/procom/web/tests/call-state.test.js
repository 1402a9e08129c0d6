import assert from "node:assert/strict";
import { test } from "node:test";
import { NEW_CALL, causeOfLeaving, stateName, step } from "../sdk/call-state.js";

const INPUTS = [
  "dialled", "arrived", "rung", "progressed", "picked-up", "answered", "held-here", "resumed-here", "held-there",
  "resumed-there",
];

function after(...types) {
  return types.reduce((state, type) => step(state, { type }), NEW_CALL);
}

test("an outgoing call rings, is answered and ends", () => {
  const talking = after("dialled", "rung", "progressed", "answered");
  assert.equal(stateName(talking), "in-call");
  const over = step(talking, { type: "ended", cause: "normal", by: "there" });
  assert.equal(stateName(over), "ended");
  assert.equal(over.cause, "normal");
});

test("an incoming call is picked up before it is answered", () => {
  assert.equal(stateName(after("arrived")), "incoming");
  assert.equal(stateName(after("arrived", "answered")), "incoming");
  assert.equal(stateName(after("arrived", "picked-up")), "answering");
  assert.equal(stateName(after("arrived", "picked-up", "answered")), "in-call");
});

test("a late ringing does not take an answered call back", () => {
  assert.equal(stateName(after("dialled", "answered", "rung")), "in-call");
});

test("a call held on both sides is free only when both let go", () => {
  const talking = ["dialled", "answered"];
  assert.equal(stateName(after(...talking, "held-here", "held-there", "resumed-here")), "held");
  assert.equal(stateName(after(...talking, "held-here", "held-there", "resumed-here", "resumed-there")), "in-call");
});

test("leaving has the cause that fits the moment", () => {
  assert.equal(causeOfLeaving(after("dialled")), "cancelled");
  assert.equal(causeOfLeaving(after("dialled", "rung")), "cancelled");
  assert.equal(causeOfLeaving(after("arrived")), "declined");
  assert.equal(causeOfLeaving(after("arrived", "picked-up")), "declined");
  assert.equal(causeOfLeaving(after("dialled", "answered", "held-here")), "normal");
});

test("in any order of inputs a call ends once, and nothing changes it afterwards", () => {
  let seed = 11;
  const random = (below) => (seed = (seed * 48271) % 2147483647) % below;
  for (let life = 0; life < 5000; life += 1) {
    let state = NEW_CALL;
    for (let event = 0; event < 12; event += 1) state = step(state, { type: INPUTS[random(INPUTS.length)] });
    const over = step(state, { type: "ended", cause: "busy", by: "there" });
    assert.equal(over.cause, "busy");
    for (const type of INPUTS) assert.equal(step(over, { type }), over);
    assert.equal(step(over, { type: "ended", cause: "failed", by: "here" }), over);
  }
});
