import assert from "node:assert/strict";
import { test } from "node:test";
import { fingerprintsOf, readSecurity } from "../sdk/security.js";

const NEAR = "v=0\r\na=fingerprint:sha-256 AA:01\r\n";
const FAR = "v=0\r\na=fingerprint:sha-256 BB:02\r\n";
const LEGS = [{ network: "procom", protection: "dtls-srtp" }, { network: "sip", protection: "sdes" }];

function read(frame) {
  return readSecurity({ legs: LEGS, ...frame }, NEAR, FAR);
}

test("fingerprints are found whatever their case", () => {
  assert.deepEqual(fingerprintsOf(NEAR), ["sha-256 aa:01"]);
  assert.deepEqual(fingerprintsOf(null), []);
});

test("an end-to-end claim with the fingerprints of the SDP is believed", () => {
  const fingerprints = { local: "SHA-256 aa:01", remote: "sha-256 BB:02" };
  assert.equal(read({ level: "e2ee", fingerprints }).isDoubtful, false);
});

test("an end-to-end claim with other fingerprints, or none, is doubted", () => {
  assert.equal(read({ level: "e2ee", fingerprints: { local: "sha-256 AA:01", remote: "sha-256 CC:03" } }).isDoubtful, true);
  assert.equal(read({ level: "e2ee" }).isDoubtful, true);
});

test("the weakest leg wins over the claimed level", () => {
  assert.equal(read({ level: "hop", legs: [...LEGS, { network: "sip", protection: "clear" }] }).level, "clear");
  assert.equal(read({ level: "hop", legs: [{ network: "sip" }] }).level, "clear");
});

test("a level this version does not know is shown as no protection", () => {
  assert.equal(read({ level: "quantum" }).level, "clear");
  assert.equal(read({}).level, "clear");
});

test("garbage in a report does no harm", () => {
  const report = readSecurity({ level: 7, legs: [null, 3, {}], keys: [1, "alice"], fingerprints: 9 }, null, undefined);
  assert.equal(report.level, "clear");
  assert.deepEqual(report.keys, ["alice"]);
});
