/** Goal: every kind of error crosses the wire as the same error, without what must stay inside. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type ErrorKind, HanseError } from "@hanse/protocol";
import { ERROR_KINDS, fromProblem, toProblem } from "./problem.ts";

test("code, kind, message, field, details and retry advice survive", () => {
  for (const [kind, row] of Object.entries(ERROR_KINDS)) {
    if (kind === "corrupt") continue;
    const error = new HanseError("LEDGER_X", kind as ErrorKind, "validUntil: too late; sign anew", {
      details: { field: "validUntil", limit: 5, retryAfterSeconds: 3, gone: undefined },
    });
    const problem = toProblem(error);
    assert.equal(problem.status, row.status);
    assert.equal(problem.type, "urn:hanse:error:LEDGER_X");
    assert.deepEqual(problem.details, { limit: 5 });
    assert.equal(problem.retryAfter, row.retry ? 3 : undefined);
    const back = fromProblem(JSON.parse(JSON.stringify(problem)), problem.status);
    assert.equal(back.code, "LEDGER_X");
    assert.equal(back.kind, kind);
    assert.equal(back.message, error.message);
    assert.equal(back.details.field, "validUntil");
    assert.equal(back.details.retryAfterSeconds, row.retry ? 3 : undefined);
  }
});

test("what failed inside stays inside", () => {
  const secret = "password=hunter2 in row 7";
  for (const thrown of [
    new Error(secret),
    new HanseError("INVARIANT", "corrupt", secret, { details: { row: secret } }),
    secret,
  ]) {
    const problem = toProblem(thrown);
    assert.equal(problem.status, 500);
    assert.ok(!JSON.stringify(problem).includes("hunter2"));
  }
  assert.equal(toProblem(new Error(secret)).code, "INTERNAL");
});

test("an answer that is no problem document still becomes a coded error", () => {
  assert.equal(fromProblem("<html>", 502).code, "HTTP_502");
  assert.equal(fromProblem(null, 502).kind, "unavailable");
  assert.equal(fromProblem({}, 404).kind, "notFound");
});
