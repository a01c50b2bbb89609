/**
 * Finalize votes for the height decided last that came after its certificate was complete. The
 * certificate that the next block carries names everyone who was there, which is what policies
 * count as presence (spec/ordering.md, "Late votes").
 */
import {
  type Bytes,
  bitmapToIndices,
  type Certificate,
  encodeCertificate,
  equalBytes,
  indicesToBitmap,
  type ValidatorId,
  type ValidatorSet,
  voteMessage,
} from "@hanse/protocol";
import type { VoteMessage } from "../wire/messages.ts";
import type { Runtime } from "./runtime.ts";

interface Decided {
  readonly set: ValidatorSet;
  /** Grows with each late vote that holds. */
  certificate: Certificate;
  /** Unchecked, by place in the set: at most one of each member. */
  readonly unchecked: Map<number, Bytes>;
}

export class LateVotes {
  readonly #runtime: Runtime;
  #decided: Decided | undefined;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** A height was decided; what was collected for the one below can stand nowhere any more. */
  follow(
    certificate: Certificate,
    set: ValidatorSet,
    votes: readonly { readonly signer: number; readonly signature: Bytes }[],
  ): void {
    const unchecked = new Map(votes.map(({ signer, signature }) => [signer, signature]));
    this.#decided = { set, certificate, unchecked };
  }

  /** True when the vote is one that the certificate lacks. */
  offer(from: ValidatorId, m: VoteMessage): boolean {
    const decided = this.#decided;
    if (decided === undefined || m.kind !== "finalize") return false;
    const { certificate: c, set, unchecked } = decided;
    if (m.height !== c.height || m.view !== c.view || m.engineEpoch !== c.engineEpoch) return false;
    if (!equalBytes(m.blockHash!, c.blockHash!)) return false;
    const signer = set.members.findIndex(({ id }) => id === from);
    if (signer < 0 || unchecked.has(signer) || has(c, signer)) return false;
    unchecked.set(signer, m.signature);
    return true;
  }

  /** The certificate of this height with every late vote that holds; `otherwise` if it is another. */
  async richest(height: number, otherwise: Bytes): Promise<Bytes> {
    const decided = this.#decided;
    if (decided === undefined || decided.certificate.height !== height) return otherwise;
    const late = [...decided.unchecked].filter(([signer]) => !has(decided.certificate, signer));
    decided.unchecked.clear();
    if (late.length > 0) {
      const { options } = this.#runtime;
      const message = voteMessage({ ...decided.certificate, ledgerId: options.ledgerId });
      const verdicts = await options.verify(
        late.map(([signer, signature]) => ({
          key: decided.set.members[signer]!.key,
          message,
          signature,
        })),
      );
      const good = late.filter((_, i) => verdicts[i] === true);
      for (const [i, [signer]] of late.entries()) {
        const peer = decided.set.members[signer]!.id;
        if (verdicts[i] !== true) {
          this.#runtime.report({ t: "badPeer", peer, code: "ORDERING_VOTE_SIGNATURE" });
        }
      }
      decided.certificate = withVotes(decided.certificate, good, decided.set.members.length);
    }
    return encodeCertificate(decided.certificate);
  }
}

function has(c: Certificate, signer: number): boolean {
  return ((c.signers[signer >> 3] ?? 0) & (1 << (signer & 7))) !== 0;
}

/** The same certificate with more signers; those that it has stay. */
export function withVotes(
  c: Certificate,
  votes: readonly (readonly [number, Bytes])[],
  members: number,
): Certificate {
  const signatures = new Map(votes);
  for (const [i, signer] of bitmapToIndices(c.signers).entries()) {
    signatures.set(signer, c.signatures[i]!);
  }
  const signers = [...signatures.keys()].sort((a, b) => a - b);
  return {
    ...c,
    signers: indicesToBitmap(signers, members),
    signatures: signers.map((signer) => signatures.get(signer)!),
  };
}
