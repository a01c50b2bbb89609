/** What the members of a cluster have on record, and the checks that compare it. */
import assert from "node:assert/strict";
import {
  type Block,
  decodeBlock,
  decodeFinalityProof,
  equalBytes,
  type FinalityProof,
  type Hash,
  toHex,
} from "@hanse/protocol";
import {
  type LedgerCluster,
  type Member,
  until,
} from "../../../packages/ledger/src/testing/ledger-cluster.ts";

export interface RecordedBlock {
  readonly height: number;
  readonly hash: Hash;
  readonly block: Block;
  readonly proof: FinalityProof | undefined;
}

export const living = ({ members }: LedgerCluster): Member[] =>
  members.filter(({ life }) => !life.dead);

export async function recordOf({ store }: Member): Promise<RecordedBlock[]> {
  const { height } = await store.info();
  const blocks: RecordedBlock[] = [];
  for (let at = 1; at <= height; at++) {
    const stored = await store.block(at);
    assert.ok(stored !== undefined, `height ${at} is missing`);
    const block = decodeBlock(stored.bytes);
    const proof =
      stored.certificate.length === 0
        ? undefined
        : decodeFinalityProof(stored.certificate, block.header);
    blocks.push({ height: at, hash: stored.hash, block, proof });
  }
  return blocks;
}

/** All living members durable at one height, and nothing left to do. */
export async function settle(cluster: LedgerCluster): Promise<void> {
  const durable = new Map<Member, number>();
  await until("all members durable at one height", () => {
    for (const member of living(cluster)) {
      void member.store.info().then(({ height }) => durable.set(member, height));
    }
    const [first] = living(cluster);
    const top = first!.node.ledger.tip.height;
    return living(cluster).every(
      (member) =>
        !member.node.ledger.hasWork() &&
        member.node.ledger.tip.height === top &&
        durable.get(member) === top,
    );
  });
}

/** E1, E2: one chain without gaps, the same with everybody as far as each has it. */
export async function assertOneChain(cluster: LedgerCluster): Promise<RecordedBlock[]> {
  let longest: RecordedBlock[] = [];
  const records = await Promise.all(cluster.members.map(recordOf));
  for (const record of records) if (record.length > longest.length) longest = record;
  let parent: Hash = cluster.rig.ledgerId;
  for (const [i, { height, hash, block }] of longest.entries()) {
    assert.equal(height, i + 1);
    assert.ok(equalBytes(block.header.parentHash, parent), `height ${height} is not linked`);
    parent = hash;
  }
  for (const [member, record] of records.entries()) {
    for (const { height, hash } of record) {
      assert.equal(toHex(hash), toHex(longest[height - 1]!.hash), `member ${member}, ${height}`);
    }
  }
  return longest;
}

/** How often a transaction's bytes stand in the chain. */
export function countOf(chain: readonly RecordedBlock[], bytes: Uint8Array): number {
  let count = 0;
  for (const { block } of chain) {
    for (const transaction of block.transactions) if (equalBytes(transaction, bytes)) count++;
  }
  return count;
}

export async function withCluster(
  create: () => Promise<LedgerCluster>,
  run: (cluster: LedgerCluster) => Promise<void>,
): Promise<void> {
  const cluster = await create();
  try {
    await run(cluster);
  } finally {
    await cluster.stop();
  }
}
