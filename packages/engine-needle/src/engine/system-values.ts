/** The `$` variables that come with the block and the sender. */
import { accountText } from "@hanse/identity";
import type { BlockContext, Sender } from "@hanse/ledger";
import type { SystemValues } from "@hanse/needle";
import type { Bytes } from "@hanse/protocol";
import { GUEST_KEY_ID } from "../host/call-session.ts";

const accountTexts = new WeakMap<Sender, string>();
const GUEST_TEXT = accountText(GUEST_KEY_ID);

function accountTextOf(sender: Sender): string {
  let text = accountTexts.get(sender);
  if (text === undefined) {
    text = accountText(sender.keyId);
    accountTexts.set(sender, text);
  }
  return text;
}

/**
 * `$block_key_id` is 0 and `$node_position` 0: blocks are proposed by nodes, which have no account
 * of the ledger.
 */
export function systemValues(
  block: BlockContext,
  sender: Sender | undefined,
  ecosystem: number,
  contractId: bigint,
  transactionId: Bytes,
): SystemValues {
  return {
    keyId: sender?.keyId ?? GUEST_KEY_ID,
    accountId: sender === undefined ? GUEST_TEXT : accountTextOf(sender),
    ecosystemId: BigInt(ecosystem),
    contractId,
    timeMs: BigInt(block.time),
    block: BigInt(block.height),
    blockKeyId: 0n,
    nodePosition: 0n,
    transactionHash: transactionId,
    previousBlockHash: block.parentHash,
    languages: "",
  };
}
