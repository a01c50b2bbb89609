/**
 * A header far above what is trusted, reached by one header per change of the validator set: each
 * of them commits to the set that follows, and is final under the one before (spec/sync.md).
 */
import {
  equalBytes,
  type FinalityProof,
  type Hash,
  hashHeader,
  type TrustedSet,
  type ValidatorSet,
  verifyFinality,
} from "@hanse/protocol";

/** Changes of the validator set that one chain may cross. */
export const CHAIN_SETS_MAX = 4_096;

export interface HeaderChain {
  /** The trusted set, then the set after each change, in order. */
  readonly sets: readonly ValidatorSet[];
  /** The last header before each change, then the header that the chain leads to; all final. */
  readonly headers: readonly FinalityProof[];
}

export interface ChainTrust {
  readonly ledgerId: Hash;
  /** The set from which the chain begins, in force from `height` on. */
  readonly set: ValidatorSet;
  /** 1 for the set of the genesis. */
  readonly height: number;
  /** A later block that is trusted too: what contradicts it is refused, whoever signed it. */
  readonly anchor?: TrustedSet;
}

export type ChainVerdict =
  | { readonly ok: true; readonly top: FinalityProof; readonly set: ValidatorSet }
  | {
      readonly ok: false;
      readonly reason: string;
      /** It is final by its own signatures, and another history than that of the anchor. */
      readonly contradictsAnchor?: true;
    };

/** Nobody handed over to the members of a recovery, and a state so far below tells no administrators. */
const ACROSS_RECOVERY =
  "a recovery after a loss of quorum began a new epoch, which headers do not cross. Start this node " +
  "with the recovery document and let it catch up by blocks from a node that keeps all of them";

const refuse = (reason: string): ChainVerdict => ({ ok: false, reason });

/**
 * Whether the chain's last header is final on the ledger, judged from the trusted set alone. Every
 * header says since when its set is in force, so that a set that has handed over vouches for nothing
 * above.
 * @throws HanseError `KEYS_NOT_READY` alone.
 */
export function verifyHeaderChain(chain: HeaderChain, trust: ChainTrust): ChainVerdict {
  const { sets, headers } = chain;
  const top = headers.at(-1);
  if (top === undefined) return refuse("the chain has no header");
  if (sets.length !== headers.length || sets.length > CHAIN_SETS_MAX) {
    return refuse(`${headers.length} headers for ${sets.length} sets`);
  }
  if (!equalBytes(sets[0]!.hash, trust.set.hash)) return refuse("it begins at another set");
  let since = trust.height;
  for (const [i, proof] of headers.entries()) {
    const { header } = proof;
    const set = sets[i]!;
    const at = `header ${header.height}`;
    if (header.height < since) return refuse(`${at} stands below ${since}`);
    if (header.lastSetChangeHeight !== since) {
      return refuse(`${at}: its set is in force since ${header.lastSetChangeHeight}, not ${since}`);
    }
    const verdict = verifyFinality(proof, { ledgerId: trust.ledgerId, set });
    if (!verdict.ok) return refuse(`${at}: ${verdict.reason}`);
    const next = sets[i + 1];
    if (next === undefined) break;
    if (equalBytes(next.hash, set.hash) || !equalBytes(header.nextValidatorsHash, next.hash)) {
      const above = headers[i + 1]!.header;
      const way = above.engineEpoch > header.engineEpoch ? `: ${ACROSS_RECOVERY}` : "";
      return refuse(`${at} does not hand over to the next set${way}`);
    }
    since = header.height + 1;
  }
  const contradiction = trust.anchor && contradictionOf(chain, trust.anchor);
  if (contradiction !== undefined) {
    return { ok: false, contradictsAnchor: true, reason: contradiction };
  }
  return { ok: true, top, set: sets.at(-1)! };
}

/** What an otherwise valid chain says of the anchor's height that the anchor does not; none below it. */
function contradictionOf(chain: HeaderChain, anchor: TrustedSet): string | undefined {
  const place = chain.headers.findIndex(({ header }) => header.height >= anchor.height);
  if (place < 0 || anchor.height === 0) return undefined;
  const { header } = chain.headers[place]!;
  const at = `the trust anchor at block ${anchor.height}`;
  if (!equalBytes(chain.sets[place]!.hash, anchor.set.hash)) {
    return `${at} has another validator set`;
  }
  const hash =
    header.height === anchor.height
      ? hashHeader(header)
      : header.height === anchor.height + 1
        ? header.parentHash
        : anchor.headerHash;
  return equalBytes(hash, anchor.headerHash) ? undefined : `${at} is another block`;
}
