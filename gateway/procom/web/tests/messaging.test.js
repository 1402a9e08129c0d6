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

test("a message the application holds back is neither shown nor acknowledged again until it is safe", () => {
  const { messaging, sent, fired } = start({ isKept: false });
  for (let copy = 0; copy < 2; copy += 1) messaging.handle({ type: "message", id: "x9", body: "hi" });
  assert.equal(fired.length, 1);
  assert.deepEqual(sent, []);
  messaging.acknowledge("x9");
  messaging.handle({ type: "message", id: "x9", body: "hi" });
  assert.deepEqual(sent, [{ type: "ack", id: "x9" }, { type: "ack", id: "x9" }]);
});

test("a message is told as read once", () => {
  const { messaging, sent } = start();
  messaging.handle({ type: "message", id: "x9", body: "hi" });
  messaging.markRead("x9");
  messaging.markRead("x9");
  assert.deepEqual(sent, [{ type: "ack", id: "x9" }, { type: "read", id: "x9" }]);
});

test("statuses climb and never come twice, and what was never taken may be tried again", () => {
  const { messaging, fired } = start();
  const tell = (status, message = "5f") => messaging.handle({ type: "status", id: "m1", status, message });
  for (const status of ["queued", "queued", "delivered", "sent", "read", "delivered"]) tell(status);
  assert.equal(fired.length, 3);
  messaging.handle({ type: "status", id: "m2", status: "failed" });
  messaging.handle({ type: "status", id: "m2", status: "queued", message: "60" });
  assert.equal(fired.length, 5);
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

test("what a closed channel of a call may have lost goes by the socket, once", () => {
  const { messaging, sent } = start();
  const said = [];
  const way = (object) => said.push(object) > 0;
  const lost = messaging.sendMessage("procom:bob", "one", {}, way);
  const told = messaging.sendMessage("procom:bob", "two", {}, way);
  messaging.handle({ type: "status", id: told, status: "queued", message: "x1" }, way);
  assert.equal(said.length, 2);
  assert.deepEqual(sent, []);
  messaging.handleClosedWay(way);
  messaging.handleClosedWay(way);
  assert.deepEqual(sent.map(({ id }) => id), [lost]);
});

test("a message is acknowledged the way it came, or by the socket if that is shut", () => {
  const { messaging, sent, fired } = start();
  const said = [];
  messaging.handle({ type: "message", id: "x1", body: "hi" }, (object) => said.push(object) > 0);
  messaging.handle({ type: "message", id: "x1", body: "hi" }, () => false);
  assert.deepEqual([said, sent], [[{ type: "ack", id: "x1" }], [{ type: "ack", id: "x1" }]]);
  assert.equal(fired.length, 1);
});
