import assert from "node:assert/strict";
import { test } from "node:test";
import { Messaging } from "../sdk/messaging.js";

function start({ isKept = true } = {}) {
  const sent = [];
  const fired = [];
  const messaging = new Messaging((object) => sent.push(object), (type, detail) => {
    fired.push([type, detail.id]);
    return isKept;
  });
  return { messaging, sent, fired };
}

test("a message received twice is shown once and acknowledged twice", () => {
  const { messaging, sent, fired } = start();
  for (let copy = 0; copy < 2; copy += 1) messaging.handle({ type: "message", id: "x9", body: "hi" });
  assert.deepEqual(fired, [["message", "x9"]]);
  assert.deepEqual(sent, [{ type: "ack", id: "x9" }, { type: "ack", id: "x9" }]);
});

test("an application that cancels the event acknowledges by itself", () => {
  const { messaging, sent } = start({ isKept: false });
  messaging.handle({ type: "message", id: "x9", body: "hi" });
  assert.deepEqual(sent, []);
});

test("a new session sends again only what nobody has answered for", () => {
  const { messaging, sent } = start();
  const first = messaging.sendMessage("tel:+4512345678", "one");
  const second = messaging.sendMessage("tel:+4512345678", "two");
  const third = messaging.sendMessage("tel:+4512345678", "three");
  messaging.handle({ type: "status", id: first, status: "queued" });
  messaging.handleRefusal(third);
  sent.length = 0;
  messaging.sendAgain();
  assert.deepEqual(sent.map((object) => object.id), [second]);
});

test("ids are long and never the same", () => {
  const { messaging } = start();
  const ids = new Set(Array.from({ length: 100 }, () => messaging.sendMessage("a", "b")));
  assert.equal(ids.size, 100);
  for (const id of ids) assert.match(id, /^m[0-9a-f]{32}$/);
});

test("objects of calls are left to others", () => {
  assert.equal(start().messaging.handle({ type: "end", call: "c1" }), false);
});
