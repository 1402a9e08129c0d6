import assert from "node:assert/strict";
import { test } from "node:test";
import { harmless, plainAddress } from "../sdk/display.js";

test("controls and overrides are dropped, and letters of every script stay", () => {
  assert.equal(harmless("a\u0000b\u001b[31m\u202Egpj.exe\u2069"), "ab[31mgpj.exe");
  assert.equal(harmless("one\r\ntwo\rthree\u2028four\tfive"), "one\ntwo\nthree\nfour\tfive");
  for (const text of ["שלום עולם", "مرحبا", "👩‍👩‍👧‍👦 ok", "e\u0301", "日本語"]) assert.equal(harmless(text), text);
  assert.equal(harmless(undefined), "");
});

test("an address is shown in letters that cannot pass for others", () => {
  assert.equal(plainAddress("sip:bob@example.org"), "sip:bob@example.org");
  assert.equal(plainAddress("xmpp:eve@ex\u0430mple.org"), "xmpp:eve@xn--exmple-4nf.org");
  assert.equal(plainAddress("procom:\u0430lice"), "procom:%D0%B0lice");
  assert.equal(plainAddress("sip:a\u202Eb@example.org"), "sip:ab@example.org");
  assert.doesNotThrow(() => plainAddress("sip:\ud800@\ud800;x=\u0430"));
});
