/** Finality proofs of blocks as far as they are kept: whole, or of what hands over to another set. */
import {
  decodeBlock,
  decodeFinalityProof,
  decodeHeader,
  type FinalityProof,
  HanseError,
} from "@hanse/protocol";
import type { LedgerReads } from "../pipeline/interfaces.ts";

export interface KeptProof {
  /** Undefined while the block is final and its proof still being collected. */
  readonly proof: FinalityProof | undefined;
  /** Empty where only the header is kept. */
  readonly transactions: readonly Uint8Array[];
}

/** Undefined when nothing of the block is here. */
export async function readKeptProof(
  reads: Pick<LedgerReads, "block" | "header">,
  height: number,
): Promise<KeptProof | undefined> {
  const stored = await reads.block(height);
  if (stored === undefined) {
    const kept = await reads.header?.(height);
    if (kept === undefined) return undefined;
    const proof = decodeFinalityProof(kept.certificate, decodeHeader(kept.header));
    return { proof, transactions: [] };
  }
  const { header, transactions } = decodeBlock(stored.bytes);
  const proof =
    stored.certificate.length === 0 ? undefined : decodeFinalityProof(stored.certificate, header);
  return { proof, transactions };
}

/** @param field what the caller asked for. */
export function prunedError(field: string, height: number): HanseError {
  return new HanseError(
    "LEDGER_BLOCK_PRUNED",
    "notFound",
    `${field}: block ${height} is no longer kept here: ask an archive node, which keeps all of them`,
    { details: { height } },
  );
}
