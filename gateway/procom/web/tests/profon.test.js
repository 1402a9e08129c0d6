import assert from "node:assert/strict";
import { test } from "node:test";
import { ROOM, hasRoom, inFront, toHold, waiting } from "../profon/desk.js";
import {
  initialOf, nameOf, wordsOfDuration, wordsOfEnd, wordsOfHolders, wordsOfLevel, wordsOfSecurity, wordsOfSignIn,
  wordsOfProspect, wordsOfTransfer, wordsOfTrouble,
} from "../profon/words.js";
import { CAUSES } from "../sdk/causes.js";

const call = (id, state) => ({ id, state, isEnded: state === "ended" });

test("the call in front stays there as long as it lives", () => {
  const [held, talking] = [call("a", "held"), call("b", "in-call")];
  assert.equal(inFront([held, talking], held), held);
});

test("when the call in front ends, the next live one takes its place", () => {
  const [over, held] = [call("a", "ended"), call("b", "held")];
  assert.equal(inFront([held], over), held);
});

test("an ended call stays in view for its cause until there is another", () => {
  const over = call("a", "ended");
  assert.equal(inFront([], over), over);
  const next = call("b", "incoming");
  assert.equal(inFront([next], over), next);
});

test("a second caller waits and does not take the front", () => {
  const [talking, next] = [call("a", "in-call"), call("b", "incoming")];
  assert.equal(inFront([talking, next], talking), talking);
  assert.equal(waiting([talking, next]), next);
});

test("before another call is talked to, the one talked on is held", () => {
  const calls = [call("a", "in-call"), call("b", "held"), call("c", "incoming")];
  assert.deepEqual(toHold(calls, calls[2]).map(({ id }) => id), ["a"]);
});

test("a call beyond the room is turned away", () => {
  const calls = Array.from({ length: ROOM }, (_, index) => call(String(index), "held"));
  assert.equal(hasRoom(calls), true);
  assert.equal(hasRoom([...calls, call("more", "incoming")]), false);
});

test("a lock is shown for hop and e2ee and never otherwise", () => {
  const locks = ["e2ee", "hop", "exposed", "clear", "unheard-of"].map((level) => wordsOfLevel(level).hasLock);
  assert.deepEqual(locks, [true, true, false, false, false]);
  assert.equal(wordsOfSecurity({ level: "e2ee", isDoubtful: true }).hasLock, false);
  assert.equal(wordsOfSecurity(null).hasLock, false);
});

test("every cause has a sentence of its own", () => {
  const sentences = CAUSES.map((cause) => wordsOfEnd({ cause, reason: null, endedBy: "there" }));
  assert.equal(new Set(sentences).size, CAUSES.length);
  for (const sentence of sentences) assert.match(sentence, /\.$/);
});

test("the gateway's reason is passed on", () => {
  assert.match(wordsOfEnd({ cause: "busy", reason: "486 Busy Here", endedBy: "there" }), /486 Busy Here/);
});

test("a microphone that may not be used says what to do", () => {
  const error = Object.assign(new Error("denied"), { name: "NotAllowedError" });
  assert.match(wordsOfEnd({ cause: "failed", reason: null, endedBy: "here" }, error), /Allow it/);
});

test("a refused sign-in ends in an instruction", () => {
  assert.equal(wordsOfSignIn({ code: "x", reason: "Wrong password" }), "Wrong password. Check user and password, then sign in again.");
  assert.match(wordsOfSignIn({ code: "unreachable" }), /network/);
});

test("holders of keys are listed as people say it", () => {
  assert.equal(wordsOfHolders(["alice", "gateway", "bob"]), "Keys held by alice, the gateway and bob.");
  assert.equal(wordsOfHolders(["alice"]), "Keys held by alice.");
  assert.equal(wordsOfHolders([]), "");
});

test("trouble names the stretch and the direction", () => {
  assert.equal(wordsOfTrouble({ leg: "sip", direction: "receive", why: "no packets for 3 s" }),
    "Trouble on the SIP stretch, sound coming in: no packets for 3 s");
});

test("a transfer that failed says why in one sentence", () => {
  assert.equal(wordsOfTransfer("busy", "eve"), "The transfer to eve did not work. They are on another call. You are still in the call.");
});

test("durations, names and initials read well", () => {
  assert.deepEqual([0, 59.9, 61, 3661].map(wordsOfDuration), ["0:00", "0:59", "1:01", "1:01:01"]);
  assert.equal(nameOf({ display: null, peer: "sip:bob@example.org" }), "bob@example.org");
  assert.equal(nameOf({ display: "\u0410lice", peer: "sip:mallory@example.net" }), "mallory@example.net");
  assert.equal(initialOf("bob"), "B");
  assert.equal(initialOf("+45"), "");
});

test("what a call would become is said before it is made", () => {
  const ways = [{ network: "sip", level: "hop", notes: ["this ENUM query tells the operator the number"] }];
  assert.equal(
    wordsOfProspect({ kind: "a number", text: "tel:+4532123456", ways }),
    "+4532123456 (a number), by SIP: encrypted on every stretch. This ENUM query tells the operator the number.",
  );
  assert.equal(wordsOfProspect({ ways: [], refusal: "nobody has this name" }), "Nobody has this name.");
  assert.match(wordsOfProspect({ ways: [{ network: "sip", level: "odd", notes: [] }] }), /Not protected|not protected/);
});
