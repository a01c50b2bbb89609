/** Goal: a line says who and why: no error loses its message, evidence names its validator. */
import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { HanseError } from "@hanse/protocol";
import { logEngineEvent } from "../composition/open-ordering.ts";
import { createLog, type NodeLog } from "./create-log.ts";

function lineOf(write: (log: NodeLog) => void): Record<string, unknown> {
  const folder = mkdtempSync(join(tmpdir(), "hanse-log-"));
  const fd = openSync(join(folder, "log"), "w+");
  try {
    write(createLog("info", {}, fd));
    return JSON.parse(readFileSync(join(folder, "log"), "utf8")) as Record<string, unknown>;
  } finally {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  }
}

test("errors keep their message under every name that is used for them", () => {
  const error = new HanseError("NODE_DISK", "corrupt", "no space left");
  for (const name of ["err", "error", "cause"]) {
    const line = lineOf((log) => log.error({ [name]: error }, "alarm"));
    assert.match((line[name] as { message: string }).message, /no space left/, name);
  }
});

test("a contradiction names the validator, the height and both blocks", () => {
  const place = { kind: "notarize", height: 7, view: 1, signature: new Uint8Array(64) } as const;
  const line = lineOf((log) =>
    logEngineEvent(log, {
      t: "evidence",
      evidence: {
        kind: "doubleNotarize",
        engineEpoch: 0,
        validatorsHash: new Uint8Array(32),
        validator: "court/node-1",
        height: 7,
        view: 1,
        first: { ...place, blockHash: new Uint8Array(32).fill(1) },
        second: { ...place, blockHash: new Uint8Array(32).fill(2) },
      },
    }),
  );
  assert.equal(line.msg, "a validator contradicted itself");
  assert.deepEqual([line.validator, line.height], ["court/node-1", 7]);
  assert.deepEqual(line.blocks, ["01".repeat(32), "02".repeat(32)]);
});
