/** Which blocks of a peer's range are shown to be in the order. */
import { equalBytes, type FinalityProof, type Hash, verifyAttestedProof } from "@hanse/protocol";
import type { FetchedBlock } from "./fetcher.ts";
import type { OrderFollower } from "./order-follower.ts";
import type { Progress } from "./progress.ts";

export interface RangeTrust {
  readonly ledgerId: Hash;
  readonly progress: Progress;
  readonly order: OrderFollower;
}

/**
 * The last block from `from` on that a proof, or a record in etcd, shows to be in the order, as far
 * as the set of the open height reaches; those below it are shown by their links.
 */
export function provenUpTo(
  blocks: readonly FetchedBlock[],
  from: number,
  trust: RangeTrust,
): number | undefined {
  const { progress, order } = trust;
  let found: number | undefined;
  for (let i = from; i < blocks.length; i++) {
    const { body, proof } = blocks[i]!;
    const { header } = body.block;
    const below = i === from ? progress.tip.hash : blocks[i - 1]!.body.hash;
    if (!equalBytes(header.parentHash, below)) break;
    if (!equalBytes(header.validatorsHash, progress.set.hash)) break;
    const record = order.record(header.height);
    const ordered = record !== undefined && equalBytes(record.hash, body.hash);
    if (ordered || isProven(proof, trust)) found = i;
  }
  return found;
}

/** Whether members of the open height's set attest the proof's block. */
export function isProven(proof: FinalityProof | undefined, trust: RangeTrust): boolean {
  if (proof?.kind !== "attested") return false;
  return verifyAttestedProof(proof, trust.ledgerId, trust.progress.set).ok;
}
