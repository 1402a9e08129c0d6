import assert from "node:assert/strict";
import { test } from "node:test";
import { KEPT_OBJECTS, Ledger } from "../sdk/ledger.js";

function ledgerWith(count, limit) {
  const ledger = new Ledger(limit);
  for (let number = 1; number <= count; number += 1) ledger.noteSent(`frame ${number}`);
  return ledger;
}

test("what the peer lacks is listed oldest first", () => {
  assert.deepEqual(ledgerWith(5).missing(3), ["frame 4", "frame 5"]);
});

test("a peer that has everything lacks nothing", () => {
  assert.deepEqual(ledgerWith(5).missing(5), []);
});

test("a peer that lacks more than is kept cannot be helped", () => {
  const ledger = ledgerWith(12, 10);
  assert.equal(ledger.missing(1), null);
  assert.equal(ledger.missing(2)?.length, 10);
});

test("a count that makes no sense ends the session instead of guessing", () => {
  const ledger = ledgerWith(5);
  for (const count of [6, -1, 1.5, NaN, "3", null, undefined]) assert.equal(ledger.missing(count), null);
});

test("the last thousand objects are kept", () => {
  assert.equal(KEPT_OBJECTS, 1000);
  assert.equal(ledgerWith(2500).missing(1500)?.length, 1000);
});

test("whatever was lost on the way, resuming delivers every object once and in order", () => {
  // A small generator with a fixed seed: the same thousand lives each time.
  let seed = 7;
  const random = (below) => (seed = (seed * 48271) % 2147483647) % below;
  for (let life = 0; life < 1000; life += 1) {
    const ledger = new Ledger();
    const arrived = [];
    let isUp = true;
    for (let event = 0; event < 60; event += 1) {
      const choice = random(10);
      if (choice < 7) {
        const text = `${life}.${event}`;
        ledger.noteSent(text);
        // A frame may also be lost in the very moment the socket drops.
        if (isUp && random(12) === 0) isUp = false;
        if (isUp) arrived.push(text);
      } else if (!isUp) {
        arrived.push(...(ledger.missing(arrived.length) ?? ["lost"]));
        isUp = true;
      }
    }
    arrived.push(...(ledger.missing(arrived.length) ?? ["lost"]));
    assert.equal(arrived.length, ledger.sent);
    assert.equal(new Set(arrived).size, arrived.length);
    assert.deepEqual(arrived, [...arrived].sort((a, b) => a.split(".")[1] - b.split(".")[1]));
  }
});
