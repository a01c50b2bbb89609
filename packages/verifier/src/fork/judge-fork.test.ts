/** Goal: people and programs learn from a fork file who lied, by library and by command. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import {
  createForkFile,
  encodeForkFile,
  readyKeyBackends,
  trustedSetToJson,
} from "@hanse/protocol";
import { createTrialLedger, trialProof, trialSet } from "../../../protocol/scripts/light-trials.ts";
import { forkReportLines, forkVerdictToJson, judgeForkFile } from "./judge-fork.ts";

await readyKeyBackends();
const set = trialSet(["a", "b", "c", "d"]);
const ledger = createTrialLedger([set, set, set]);
const { header } = ledger.blocks[2]!.proof;
const other = { ...header, time: header.time + 1 };

function forkFile(view: number) {
  const proofs = [
    trialProof(header, set, { signers: [0, 1, 2] }),
    trialProof(other, set, { view, signers: [1, 2, 3] }),
  ] as const;
  return encodeForkFile(createForkFile({ ledgerId: ledger.ledgerId, set, proofs }));
}

const folder = mkdtempSync(path.join(tmpdir(), "hanse-fork-"));
after(() => rmSync(folder, { recursive: true }));

test("the report names the liars, or whom to ask for what", async () => {
  const named = forkReportLines(await judgeForkFile(forkFile(0), ledger.trustAt(1))).join("\n");
  assert.match(named, /b of b, weight 1: doubleFinalize/);
  assert.match(named, /made final twice; 2 members lied, weight 2 where 1 is tolerated/);
  const open = await judgeForkFile(forkFile(2), ledger.trustAt(1));
  assert.match(forkReportLines(open).join("\n"), /To be asked\n {2}b of b\n {2}c of c\n {2}d of d/);
  assert.deepEqual(JSON.parse(JSON.stringify(forkVerdictToJson(open))).question, {
    kind: "notarize",
    view: 2,
    blockHash: JSON.parse(JSON.stringify(forkVerdictToJson(open))).blocks[1],
    asked: ["b", "c", "d"],
  });
  const refused = await judgeForkFile(forkFile(0).subarray(5), ledger.trustAt(1));
  assert.match(forkReportLines(refused).at(-1)!, /^Refused\. fork file: .*HANSEFRK/);
});

for (const [name, program, args] of [
  ["hanse-verify", "../main.ts", ["--fork"]],
  ["hanse verify fork", "../../../cli/bin/hanse.mjs", ["verify", "fork"]],
] as const) {
  test(`${name} tells by its exit status`, async () => {
    const trust = path.join(folder, "trust.json");
    writeFileSync(trust, JSON.stringify(trustedSetToJson(ledger.trustAt(1))));
    const run = (bytes: Uint8Array, ...more: string[]) => {
      const file = path.join(folder, "block.fork");
      writeFileSync(file, bytes);
      return new Promise<{ code: number; out: string }>((resolve) => {
        const argv = [fileURLToPath(new URL(program, import.meta.url)), ...args, file, ...more];
        execFile(process.execPath, argv, { timeout: 30_000 }, (error, stdout, stderr) =>
          resolve({ code: Number(error?.code ?? 0), out: stdout + stderr }),
        );
      });
    };
    const good = await run(forkFile(0), "--trust", trust, "--json");
    assert.equal(good.code, 0, good.out);
    const liars = JSON.parse(good.out).liars as { id: string }[];
    assert.deepEqual(
      liars.map(({ id }) => id),
      ["b", "c"],
    );
    const bad = await run(forkFile(0).fill(0, 60, 70), "--trust", trust);
    assert.equal(bad.code, 1, bad.out);
    assert.match(bad.out, /Refused/);
    assert.equal((await run(forkFile(0))).code, 2);
  });
}
