import assert from "node:assert/strict";
import { test } from "node:test";
import { Typing, Typist } from "../sdk/composing.js";

/** A clock that is moved by hand. */
function clock() {
  let now = 0;
  let tasks = [];
  return {
    now: () => now,
    set: (task, ms) => {
      const timer = { task, due: now + ms };
      tasks.push(timer);
      return timer;
    },
    clear: (timer) => { tasks = tasks.filter((other) => other !== timer); },
    pass: (ms) => {
      now += ms;
      for (const timer of tasks.filter(({ due }) => due <= now)) {
        tasks = tasks.filter((other) => other !== timer);
        timer.task();
      }
    },
  };
}

test("writing is told at once, again every ten seconds, and when it stops", () => {
  const time = clock();
  const told = [];
  const typing = new Typing((isOn) => told.push(isOn), time);
  for (let second = 0; second < 12; second += 1) {
    typing.input(true);
    time.pass(1000);
  }
  assert.deepEqual(told, [true, true]);
  time.pass(5000);
  assert.deepEqual(told, [true, true, false]);
  typing.input(true);
  typing.input(false);
  assert.deepEqual(told, [true, true, false, true, false]);
});

test("a message that is sent says by itself that the writing is over", () => {
  const time = clock();
  const told = [];
  const typing = new Typing((isOn) => told.push(isOn), time);
  typing.input(true);
  typing.sent();
  time.pass(60_000);
  assert.deepEqual(told, [true]);
});

test("the far side's writing is forgotten when nobody tells of it again", () => {
  const time = clock();
  const shown = [];
  const typist = new Typist((isOn) => shown.push(isOn), time);
  typist.handle(true);
  time.pass(14_000);
  typist.handle(true);
  time.pass(14_000);
  assert.deepEqual(shown, [true, true]);
  time.pass(1000);
  assert.deepEqual(shown, [true, true, false]);
});
