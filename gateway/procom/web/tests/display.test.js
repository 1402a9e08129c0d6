import assert from "node:assert/strict";
import { test } from "node:test";
import { harmless, plainAddress, plainName } from "../sdk/display.js";

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

test("what nobody can see is dropped, and what joins letters and emoji stays", () => {
  assert.equal(harmless("pay\u200bpal\u00ad\u2060\u2063.com"), "paypal.com");
  assert.equal(harmless("hi\u{e0068}\u{e0069}"), "hi");
  for (const text of ["\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}", "می\u200cخواهم", "👩\u200d🚀", "א\u200f!"]) {
    assert.equal(harmless(text), text);
  }
  assert.equal(harmless(`a${"\u0301".repeat(50)}`), `a${"\u0301".repeat(8)}`);
});

test("a name that would deceive is not shown, and names of every script are", () => {
  for (const name of ["Bob", "Zoë O'Neil-Æ", "Ирина", "Ελένη", "דוד", "محمد", "山田 太郎", "Ирина Smith", "Tokyo タワー", "Bob 2"]) {
    assert.equal(plainName(name), name);
  }
  // Cyrillic and Greek letters among Latin ones.
  for (const name of ["\u0410lice", "B\u03bfb", "p\u0430ypal support", "Al\u0456ce"]) assert.equal(plainName(name), "", name);
  for (const name of ["sip:bob@example.org", "alice@example.org", "+45 12 34 56 78", "112"]) assert.equal(plainName(name), "", name);
  assert.equal(plainName("\u202eecila\u202c\u200e \n Bob\u200d"), "ecila Bob");
  assert.equal(plainName("\u{1d401}\u{1d428}\u{1d41b}"), "Bob");
  assert.equal([...plainName("x".repeat(500))].length, 64);
  for (const name of [undefined, null, "", "\u200b"]) assert.equal(plainName(name), "");
});
