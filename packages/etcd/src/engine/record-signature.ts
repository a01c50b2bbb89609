/** Whether a member of a set really offered a block in a term. */
import type { ValidatorSet } from "@hanse/protocol";
import { type OrderingRecord, orderedMessage } from "../order/ordering-record.ts";
import type { EtcdEngineOptions } from "./options.ts";

/** The record's signature is its header's proposer's, who is in the set. */
export async function isSignedByProposer(
  { ledgerId, verify }: Pick<EtcdEngineOptions, "ledgerId" | "verify">,
  { header, hash, term, signature }: OrderingRecord,
  set: ValidatorSet,
): Promise<boolean> {
  const key = set.members.find(({ id }) => id === header.proposer)?.key;
  if (key === undefined) return false;
  const { engineEpoch, height } = header;
  const message = orderedMessage({ ledgerId, engineEpoch, height, term, blockHash: hash });
  const [holds] = await verify([{ key, message, signature }]);
  return holds === true;
}
