/** From blocks that are durable here to the chain of headers that leads to one of them. */
import { type LedgerReads, readKeptProof } from "@hanse/ledger";
import { CHAIN_SETS_MAX, type HeaderChain } from "@hanse/ordering";
import { type FinalityProof, HanseError, type ValidatorSet } from "@hanse/protocol";

export interface HeaderChainSources {
  readonly reads: Pick<LedgerReads, "block" | "header">;
  readonly validatorSetAt: (height: number) => ValidatorSet | undefined;
}

/**
 * @returns undefined while the block of that height, or its proof, is not here.
 * @throws HanseError `NODE_HEADER_CHAIN` when a header or set on the way is not kept here.
 */
export async function collectHeaderChain(
  { reads, validatorSetAt }: HeaderChainSources,
  height: number,
): Promise<HeaderChain | undefined> {
  const read = async (at: number): Promise<FinalityProof | undefined> =>
    (await readKeptProof(reads, at))?.proof;
  const top = await read(height);
  if (top === undefined) return undefined;
  const headers = [top];
  for (let proof = top; proof.header.lastSetChangeHeight > 1; proof = headers[0]!) {
    const below = await read(proof.header.lastSetChangeHeight - 1);
    if (below === undefined || headers.length >= CHAIN_SETS_MAX) {
      throw missing(`the header of height ${proof.header.lastSetChangeHeight - 1}`);
    }
    headers.unshift(below);
  }
  const sets = headers.map(({ header }) => {
    const set = validatorSetAt(header.height);
    if (set === undefined) throw missing(`the validators of height ${header.height}`);
    return set;
  });
  return { sets, headers };
}

function missing(what: string): HanseError {
  return new HanseError(
    "NODE_HEADER_CHAIN",
    "notFound",
    `${what}, needed to prove later ones, is not kept here: other nodes must serve snapshots`,
  );
}
