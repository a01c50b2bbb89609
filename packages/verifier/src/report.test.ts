import assert from "node:assert/strict";
import test from "node:test";
import { encodeCbor, utf8 } from "@hanse/protocol";
import { formatPayload } from "./report.ts";

test("a call reads as its contract and parameters, other contents as text or hex", () => {
  const call = encodeCbor([
    "Deposit",
    new Map<string, string | bigint | Uint8Array>([
      ["Hash", Uint8Array.of(0xab)],
      ["Sum", 2n ** 60n],
    ]),
  ]);
  assert.equal(formatPayload(call), '["Deposit",{"Sum":"1152921504606846976","Hash":"ab"}]');
  assert.equal(formatPayload(utf8("plain words")), "plain words");
  assert.equal(formatPayload(Uint8Array.of(0xff, 0)), "ff00");
});
