import assert from "node:assert/strict";
import { test } from "node:test";
import { deviceName } from "../sdk/device.js";

function store() {
  const kept = new Map();
  return { getItem: (key) => kept.get(key) ?? null, setItem: (key, text) => void kept.set(key, text) };
}

test("a browser keeps its name, and every browser has its own", () => {
  const kept = store();
  const name = deviceName(kept);
  assert.match(name, /^d[0-9a-f]{32}$/);
  assert.equal(deviceName(kept), name);
  assert.notEqual(deviceName(store()), name);
});

test("where nothing can be kept there is no name, and what is not one is replaced", () => {
  assert.equal(deviceName(null), undefined);
  const forbidden = { getItem: () => null, setItem: () => { throw new Error("denied"); } };
  assert.equal(deviceName(forbidden), undefined);
  const strange = store();
  strange.setItem("procom-device", "short");
  assert.match(deviceName(strange), /^d[0-9a-f]{32}$/);
});
