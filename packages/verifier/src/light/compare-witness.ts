/**
 * Comparing what two nodes call final: the second opinion of a light client, and the fork file when
 * they differ. Neither node is believed; what differs must hold by what the caller trusts.
 */
import {
  type Bytes,
  createForkFile,
  decodeLightPage,
  encodeForkFile,
  equalBytes,
  followLightBlock,
  HanseError,
  hashHeader,
  type LightBlock,
  type LightPage,
  type LightState,
  type ReceiptTrust,
  readyKeyBackends,
  trustedSetOf,
  verifyForkFile,
} from "@hanse/protocol";

/** Brings the page of a node with the block of a height, and the set changes below it. */
export type FetchBlock = (from: number, height: number) => Promise<Bytes>;

export type Comparison =
  | { readonly agree: true }
  /** An encoded fork file that holds by the trust given. */
  | { readonly agree: false; readonly fork: Bytes };

/**
 * Whether a witness has the same final block at a height as the node that was asked first. `trust`
 * lies below the height.
 * @throws HanseError `LIGHT_REFUSED` when what one of them hands over does not hold, the codes of
 * `decodeLightPage`, or what the fetchers throw.
 */
export async function compareWitness(
  trust: ReceiptTrust,
  height: number,
  asked: FetchBlock,
  witness: FetchBlock,
): Promise<Comparison> {
  await readyKeyBackends();
  const trusted = trustedSetOf(trust);
  const read = async (fetch: FetchBlock): Promise<LightPage> => {
    const page = decodeLightPage(await fetch(trusted.height, height));
    if (page.newest.proof.header.height !== height) refused(`it is not of height ${height}`);
    return page;
  };
  const [one, other] = [await read(asked), await read(witness)];
  const hashOf = ({ newest }: LightPage) => hashHeader(newest.proof.header);
  if (equalBytes(hashOf(one), hashOf(other))) return { agree: true };
  const fork = encodeForkFile(
    createForkFile({
      ledgerId: trusted.ledgerId,
      path: wayTo({ trust: trusted }, one.changes, [one.newest, other.newest]),
      set: one.newest.set,
      proofs: [one.newest.proof, other.newest.proof],
    }),
  );
  const verdict = verifyForkFile(fork, trust);
  if (!verdict.ok) refused(verdict.reason!);
  return { agree: false, fork };
}

function refused(reason: string): never {
  throw new HanseError("LIGHT_REFUSED", "rejected", reason);
}

/** As many of the set changes as it takes until the blocks may be skipped to. */
function wayTo(
  from: LightState,
  changes: readonly LightBlock[],
  blocks: readonly LightBlock[],
): LightBlock[] {
  const path: LightBlock[] = [];
  let state = from;
  for (const block of changes) {
    const before = state;
    if (blocks.every((far) => followLightBlock(before, far).ok)) break;
    const verdict = followLightBlock(state, block);
    if (!verdict.ok) refused(verdict.reason);
    state = verdict.state;
    path.push(block);
  }
  return path;
}
