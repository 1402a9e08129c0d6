import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff } from "../sdk/backoff.js";
import { FRAME_LIMIT_BYTES, Link, SUBPROTOCOL } from "../sdk/link.js";

const WELCOME = { type: "welcome", session: "s", resume: "SECRET", resume_s: 30, address: "procom:alice", ice_servers: [] };

test("the first frame is a full hello, and welcome connects", () => {
  const { link, socket, seen } = opened();
  assert.deepEqual(socket().sent, [{ type: "hello", version: 1, user: "alice", password: "secret" }]);
  assert.equal(socket().protocol, SUBPROTOCOL);
  socket().take(WELCOME);
  assert.equal(link.state, "connected");
  assert.deepEqual(seen("welcome").map((detail) => detail.isResumed), [false]);
});

test("a refused sign-in closes with the gateway's own code and reason", () => {
  const { link, socket, seen } = opened();
  socket().take({ type: "error", code: "unauthorized", reason: "No." });
  assert.equal(link.state, "closed");
  assert.equal(seen("closed")[0].code, "unauthorized");
  assert.equal(seen("closed")[0].reason, "No.");
});

test("a gateway that is not there is reported as unreachable, at once", () => {
  const { socket, seen } = opened({ isOpened: false });
  socket().drop(1006);
  assert.equal(seen("closed")[0].code, "unreachable");
});

test("a dropped socket is resumed with the count, and what the gateway lacks is sent again", () => {
  const { link, socket, run, seen } = connected();
  link.send({ type: "ringing", call: "g1" });
  link.send({ type: "end", call: "g1", cause: "busy" });
  socket().take({ type: "digit", call: "g2", digit: "1" });
  socket().drop(1006);
  assert.equal(link.state, "reconnecting");
  link.send({ type: "ack", id: "x1" });
  run();
  assert.deepEqual(socket().sent, [{ type: "hello", version: 1, resume: "SECRET", received: 1 }]);
  socket().take({ ...WELCOME, resumed: true, received: 1 });
  assert.deepEqual(socket().sent.slice(1).map((object) => object.type), ["end", "ack"]);
  assert.equal(seen("lost").length, 0);
});

test("hello, welcome and what comes before welcome are not counted", () => {
  const { socket, run } = connected();
  socket().drop(1006);
  run();
  socket().take({ ...WELCOME, resumed: true, received: 0 });
  socket().drop(1006);
  run();
  assert.equal(socket().sent[0].received, 0);
});

test("an expired secret begins a new session on the same socket", () => {
  const { link, socket, run, seen } = connected();
  link.send({ type: "ack", id: "x1" });
  socket().drop(1006);
  run();
  socket().take({ type: "error", code: "resume-expired", reason: "Too late." });
  assert.equal(seen("lost").length, 1);
  assert.deepEqual(socket().sent[1], { type: "hello", version: 1, user: "alice", password: "secret" });
  socket().take({ ...WELCOME, resume: "OTHER" });
  assert.equal(link.state, "connected");
  assert.equal(socket().sent.length, 2);
});

test("a resume that would leave a gap begins a new session instead", () => {
  const { socket, run, seen } = connected();
  socket().drop(1006);
  run();
  socket().take({ ...WELCOME, resumed: true, received: 5 });
  assert.equal(seen("lost").length, 1);
  run();
  assert.equal(socket().sent[0].user, "alice");
});

test("when the time to resume has run out, the session is lost and a full hello follows", () => {
  const { socket, seen, run, expire } = connected();
  socket().drop(1006);
  expire(30_000);
  assert.equal(seen("lost").length, 1);
  run();
  assert.equal(socket().sent[0].user, "alice");
});

test("a changed network replaces a live socket without ending the session", () => {
  const { link, socket, seen } = connected();
  const old = socket();
  link.renew();
  assert.ok(old.closedWith >= 3000, "neither 1000 nor 1001");
  assert.deepEqual(socket().sent, [{ type: "hello", version: 1, resume: "SECRET", received: 0 }]);
  assert.equal(seen("lost").length, 0);
});

test("closing is clean, final and forgets", () => {
  const { link, socket, sockets, run } = connected();
  const last = socket();
  link.close();
  assert.equal(last.closedWith, 1000);
  run();
  link.renew();
  link.send({ type: "ack", id: "x" });
  assert.equal(sockets.length, 1);
  assert.equal(link.state, "closed");
});

test("a client told off for garbage does not come back", () => {
  const { link, socket } = connected();
  socket().drop(1008);
  assert.equal(link.state, "closed");
});

test("a frame that is not an object is a warning, and counted", () => {
  const { socket, seen, run } = connected();
  for (const text of ["{", "[]", "null", "7"]) socket().onmessage({ data: text });
  assert.equal(seen("warning").length, 4);
  socket().drop(1006);
  run();
  assert.equal(socket().sent[0].received, 4);
});

test("an object beyond the wire's limit is refused before it is counted", () => {
  const { link, socket } = connected();
  assert.throws(() => link.send({ type: "message", body: "x".repeat(FRAME_LIMIT_BYTES) }), { code: "too-large" });
  assert.equal(socket().sent.length, 1);
});

test("waits double up to five seconds, with jitter, and start over after a success", () => {
  const backoff = new Backoff();
  const waits = Array.from({ length: 8 }, () => backoff.next(1));
  assert.deepEqual(waits, [300, 600, 1200, 2400, 4800, 5000, 5000, 5000]);
  backoff.reset();
  assert.equal(backoff.next(0), 150);
});

/** A socket that goes nowhere. */
class FakeSocket {
  sent = [];
  closedWith = null;

  constructor(protocol) {
    this.protocol = protocol;
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close(code) {
    this.closedWith = code;
  }

  take(object) {
    this.onmessage({ data: JSON.stringify(object) });
  }

  drop(code) {
    this.onclose({ code, reason: "" });
  }
}

/** A link over fake sockets and timers that run when told. */
function opened({ isOpened = true } = {}) {
  const sockets = [];
  const tasks = new Map();
  const events = new Map();
  let number = 0;
  const link = new Link({
    url: "ws://127.0.0.1/procom",
    credentials: { user: "alice", password: "secret" },
    newSocket: (_, protocol) => sockets[sockets.push(new FakeSocket(protocol)) - 1],
    timers: { set: (task, ms) => (tasks.set(++number, { task, ms }), number), clear: (timer) => tasks.delete(timer) },
  });
  const fire = (isWanted) => {
    for (const [timer, { task, ms }] of [...tasks]) if (isWanted(ms) && tasks.delete(timer)) task();
  };
  for (const type of ["welcome", "object", "lost", "closed", "warning"]) {
    events.set(type, []);
    link.addEventListener(type, ({ detail }) => events.get(type).push(detail));
  }
  link.open();
  if (isOpened) sockets[0].onopen();
  return {
    link, sockets,
    socket: () => {
      const last = sockets.at(-1);
      if (last.sent.length === 0 && last.onopen && isOpened) last.onopen();
      return last;
    },
    seen: (type) => events.get(type),
    /** Runs the waits before an attempt. */
    run: () => fire((ms) => ms <= 5000),
    expire: (due_ms) => fire((ms) => ms === due_ms),
  };
}

function connected() {
  const parts = opened();
  parts.socket().take(WELCOME);
  return parts;
}
