import assert from "node:assert/strict";
import { test } from "node:test";
import { Threads } from "../profon/threads.js";

const A = "a".repeat(32);
const B = "b".repeat(32);

const message = (id, from, conversation, more = {}) => ({
  type: "message", id, from, to: "procom:alice", body: id, content: "text/plain", at: "2026-01-01T00:00:00Z", conversation, ...more,
});
const texts = ({ transcript }) => transcript.entries.map(({ text }) => text);

test("what comes from a contact's number, JID and SIP address is one conversation, answered where it was last heard", () => {
  const threads = new Threads();
  threads.receive(message("1", "tel:+4532123456", A), false);
  threads.receive(message("2", "xmpp:eve@example.org", A), false);
  const { thread } = threads.receive(message("3", "sip:eve@example.org", A, { verified: true }), false);
  threads.receive(message("4", "procom:alice", A, { to: "tel:+4532123456" }), true);
  assert.equal(threads.all.length, 1);
  assert.deepEqual(texts(thread), ["1", "2", "3", "4"]);
  assert.equal(thread.peer, "sip:eve@example.org");
  assert.deepEqual(thread.transcript.entries.map(({ isVerified }) => isVerified), [false, false, true, false]);
});

test("another conversation stays another, also under the same address", () => {
  const threads = new Threads();
  threads.receive(message("1", "sip:eve@example.org", A), false);
  threads.receive(message("2", "sip:eve@example.net", B), false);
  assert.equal(threads.all.length, 2);
  threads.receive(message("3", "sip:eve@example.org", B), false);
  assert.deepEqual(threads.all.map(texts), [["1"], ["2", "3"]]);
});

test("what was written by a name joins the conversation as soon as the gateway names it", () => {
  const threads = new Threads();
  threads.receive(message("1", "tel:+4532123456", A), false);
  const byName = threads.open("procom:Eve");
  const entry = byName.transcript.write("hi", Date.parse("2026-01-02T00:00:00Z"));
  const joined = threads.settle({ type: "status", id: entry.id, message: "9", status: "queued", conversation: A });
  assert.equal(threads.all.length, 1);
  assert.deepEqual(texts(joined), ["1", "hi"]);
  assert.equal(threads.open("procom:Eve"), joined);
  assert.equal(threads.receive(message("9", "procom:alice", A, { to: "procom:Eve" }), true).isNew, false);
  assert.equal(threads.settle({ type: "status", id: entry.id, message: "9", status: "sent" }), joined);
});

test("a gateway that names no conversations has one for each address", () => {
  const threads = new Threads();
  threads.receive(message("1", "tel:+4532123456", undefined), false);
  threads.receive(message("2", "tel:+4532123456", undefined), false);
  threads.receive(message("3", "sip:eve@example.org", undefined), false);
  assert.deepEqual(threads.all.map(texts), [["1", "2"], ["3"]]);
});

test("who answers in a call from another address goes on in its conversation", () => {
  const threads = new Threads();
  const called = threads.open("sip:bob@gw.example");
  const { thread } = threads.receive(message("1", "procom:bob", A), false, "sip:bob@gw.example");
  assert.equal(thread, called);
  assert.equal(threads.receive(message("2", "procom:bob", A), false).thread, called);
  assert.notEqual(threads.receive(message("3", "procom:eve", B), false, "procom:nobody").thread, called);
});
