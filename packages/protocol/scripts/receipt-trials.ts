/**
 * The sample receipt with what tests change in it, and how they judge it: shared by the test files of
 * `src/receipt`.
 */
import assert from "node:assert/strict";
import {
  encodeReceipt,
  hashHeader,
  type QcProof,
  type Receipt,
  readyKeyBackends,
  type TrustedSet,
  verifyReceipt,
} from "../src/index.ts";
import { certify, createSampleLedger, createSampleReceipt } from "./sample-ledger.ts";

await readyKeyBackends();
export const ledger = createSampleLedger();
export const receipt = createSampleReceipt(ledger);

export function judge(changed: Partial<Receipt>) {
  return verifyReceipt(encodeReceipt({ ...receipt, ...changed }), { genesis: ledger.genesis });
}

export function assertRefused(changed: Partial<Receipt>, reason: RegExp) {
  const verdict = judge(changed);
  assert.equal(verdict.ok, false);
  assert.match(verdict.reason ?? "", reason);
  assert.equal(verdict.facts, undefined);
  assert.deepEqual(
    verdict.checks.map((check) => check.ok),
    verdict.checks.map((_, i) => i < verdict.checks.length - 1),
  );
}

export function trustAt(height: number): TrustedSet {
  const { hash, set } = ledger.blocks[height - 1]!;
  return { ledgerId: ledger.ledgerId, height, headerHash: hash, set };
}

/** The block of a height with its header changed and certified anew by the members given. */
export function forge(
  height: number,
  change: Partial<QcProof["header"]>,
  members?: number[],
): QcProof {
  const { header: old, certificate, set } = ledger.blocks[height - 1]!;
  const header = { ...old, ...change };
  return {
    kind: "qc",
    header,
    certificate: certify(
      {
        kind: "finalize",
        ledgerId: header.ledgerId,
        engineEpoch: header.engineEpoch,
        height: header.height,
        view: certificate.view,
        validatorsHash: set.hash,
        blockHash: hashHeader(header),
      },
      set,
      members,
    ),
  };
}

export function withBlock(at: number, block: Omit<QcProof, "kind">): readonly QcProof[] {
  return receipt.blocks.map((old, i) => (i === at ? { ...block, kind: "qc" } : old));
}
