import assert from "node:assert/strict";
import { test } from "node:test";
import { Transcript } from "../prochat/transcript.js";

function store() {
  const kept = new Map();
  return { getItem: (key) => kept.get(key) ?? null, setItem: (key, text) => void kept.set(key, text) };
}

const theirs = (id, body, more = {}) => ({
  type: "message", id, from: "procom:shop", to: "procom:guest.1", body, content: "text/plain", at: "2026-01-01T00:00:00Z", ...more,
});

test("a conversation outlives its page, and its visitor stays the same", () => {
  const kept = store();
  const before = new Transcript(kept, "a");
  before.write("hi", 1);
  before.receive(theirs("x1", "hello"), false);
  const after = new Transcript(kept, "a");
  assert.equal(after.visitor, before.visitor);
  assert.deepEqual(after.entries.map(({ text }) => text), ["hi", "hello"]);
  assert.equal(after.unsettled.length, 1);
  assert.equal(after.unread, 1);
  assert.notEqual(new Transcript(kept, "b").visitor, before.visitor);
});

test("a message is here once, by whichever id it comes again", () => {
  const transcript = new Transcript(null, "a");
  const own = transcript.write("hi", 1);
  transcript.settle({ id: own.id, message: "5f", status: "queued" });
  assert.equal(transcript.receive(theirs("5f", "hi"), true), null);
  assert.ok(transcript.receive(theirs("60", "hello"), false));
  assert.equal(transcript.receive(theirs("60", "hello"), false), null);
});

test("a status climbs, and a failed message may be tried again", () => {
  const transcript = new Transcript(null, "a");
  const own = transcript.write("hi", 1);
  assert.ok(transcript.settle({ id: own.id, message: "5f", status: "delivered" }));
  assert.equal(transcript.settle({ id: own.id, message: "5f", status: "sent" }), null);
  assert.ok(transcript.settle({ id: "another", message: "5f", status: "read" }));
  const lost = transcript.write("again", 2);
  const { id } = lost;
  transcript.settle({ id, status: "failed", reason: "no" });
  transcript.retry(lost);
  assert.deepEqual([lost.id, lost.status], [id, "sending"]);
  transcript.settle({ id, message: "61", status: "failed", reason: "no" });
  transcript.retry(lost);
  assert.notEqual(lost.id, id);
});

test("what strangers write is made harmless, and what was written here goes out as it is", () => {
  const transcript = new Transcript(null, "a");
  assert.equal(transcript.receive(theirs("x", "a\u202Eb\u0007"), false).text, "ab");
  assert.match(transcript.receive(theirs("y", "...", { content: "application/x" }), false).text, /cannot be shown/);
  assert.equal(transcript.receive(theirs("z", "c", { from: "procom:\u0430", at: "never" }), false).from, "procom:%D0%B0");
  assert.equal(transcript.write("a\u202Eb", 1).wire, "a\u202Eb");
});

test("a store that fails or holds nonsense costs nothing but the history", () => {
  const broken = { getItem: () => "{", setItem: () => { throw new Error("full"); } };
  const transcript = new Transcript(broken, "a");
  transcript.write("hi", 1);
  assert.equal(transcript.entries.length, 1);
});
