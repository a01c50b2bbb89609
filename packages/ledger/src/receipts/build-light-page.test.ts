/** Goal: the pages of a real ledger lead a follower from its genesis to the newest block. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeLightPage,
  encodeBlock,
  encodeFinalityProof,
  encodeLightPage,
  followLightBlock,
  hashHeader,
  type QcProof,
  trustGenesis,
  type ValidatorSet,
} from "@hanse/protocol";
import { createTrialLedger, trialSet } from "../../../protocol/scripts/light-trials.ts";
import type { StoredBlock } from "../pipeline/interfaces.ts";
import { createRigGenesis, createRigNode, runBlock } from "../testing/ledger-rig.ts";
import { createLightPages } from "./build-light-page.ts";

test("the newest block of a ledger is believed by who trusts its genesis", async () => {
  const rig = await createRigGenesis();
  const node = await createRigNode(rig);
  await assert.rejects(node.ledger.lightPage({ from: 0, changes: true }), {
    code: "LEDGER_LIGHT_EMPTY",
    kind: "unavailable",
  });
  await runBlock(rig, [node]);
  await runBlock(rig, [node]);
  const bytes = encodeLightPage(await node.ledger.lightPage({ from: 0, changes: true }));
  const page = decodeLightPage(bytes);
  assert.equal(page.complete, true);
  assert.deepEqual(page.changes, []);
  const verdict = followLightBlock({ trust: trustGenesis(rig.genesis) }, page.newest);
  assert.ok(verdict.ok, verdict.ok ? "" : verdict.reason);
  assert.equal(verdict.state.trust.height, 2);
});

/** A store that holds the blocks of a ledger of headers; `unproven` heights have no proof yet. */
function storeOf(sets: readonly ValidatorSet[], unproven: ReadonlySet<number> = new Set()) {
  const trial = createTrialLedger(sets);
  let reads = 0;
  let height = 0;
  const block = async (at: number): Promise<StoredBlock | undefined> => {
    reads++;
    const found = at > height ? undefined : trial.blocks[at - 1];
    if (found === undefined) return undefined;
    const { header } = found.proof as QcProof;
    const whole = { header, lastCert: new Uint8Array(), evidence: [], transactions: [] };
    return {
      height: at,
      hash: hashHeader(header),
      bytes: encodeBlock(whole),
      certificate: unproven.has(at) ? new Uint8Array() : encodeFinalityProof(found.proof),
    };
  };
  const pages = createLightPages({
    ledgerId: trial.ledgerId,
    store: { block, info: async () => ({ height }) as never },
    validatorSetAt: (at) => sets[at - 1],
  });
  return {
    trial,
    pages,
    grow: (to: number) => {
      height = to;
      reads = 0;
    },
    reads: () => reads,
  };
}

test("one header per change, found by one read each, and read once", async () => {
  const names = Array.from({ length: 12 }, (_, i) => `m${i}`);
  const sets = Array.from({ length: 30 }, (_, i) =>
    trialSet(names.slice(Math.floor(i / 5), Math.floor(i / 5) + 4)),
  );
  const { pages, grow, reads } = storeOf(sets);
  grow(18);
  const heights = async (from: number) =>
    (await pages.page({ from, changes: true })).changes.map((item) => item.proof.header.height);
  assert.deepEqual(await Promise.all([heights(0), heights(6)]), [
    [5, 10, 15],
    [10, 15],
  ]);
  grow(30);
  assert.deepEqual(await heights(11), [15, 20, 25]);
  assert.ok(reads() <= 7, `${reads()} reads`);
  assert.deepEqual((await pages.page({ from: 1, changes: false })).changes, []);
});

test("blocks whose proof is still to come are left out", async () => {
  const set = trialSet(["a", "b", "c", "d"]);
  const { pages, grow } = storeOf([set, set, set, set], new Set([3, 4]));
  grow(4);
  const { newest } = await pages.page({ from: 0, changes: true });
  assert.equal(newest.proof.header.height, 2);
});
