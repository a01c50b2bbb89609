/** Votes of one height: counted by weight, turned into certificates, watched for contradictions. */
import {
  type Certificate,
  indicesToBitmap,
  toHex,
  type ValidatorSet,
  type VoteKind,
} from "@hanse/protocol";
import type { View } from "../engine/interfaces.ts";
import { FINALIZE_VIEWS_BELOW_MAX, type Vote } from "./events.ts";

/** What two votes must share to count together. */
export function subjectKey(vote: Pick<Vote, "blockHash" | "parentView">): string {
  return vote.blockHash === undefined ? "" : `${toHex(vote.blockHash)}/${vote.parentView ?? ""}`;
}

interface Count {
  weight: number;
  readonly votes: Map<number, Vote>;
}

export type Added =
  | { readonly t: "added"; readonly weight: number }
  | { readonly t: "known" }
  /** The same validator voted differently at this place before; the first vote stays counted. */
  | { readonly t: "conflict"; readonly first: Vote };

export class Tally {
  readonly #set: ValidatorSet;
  readonly #engineEpoch: number;
  /** kind:view -> subject -> votes. */
  readonly #counts = new Map<string, Map<string, Count>>();
  /** kind:view:signer -> the vote counted. */
  readonly #voted = new Map<string, Vote>();

  constructor(set: ValidatorSet, engineEpoch: number) {
    this.#set = set;
    this.#engineEpoch = engineEpoch;
  }

  voteOf(kind: VoteKind, view: View, signer: number): Vote | undefined {
    return this.#voted.get(`${kind}:${view}:${signer}`);
  }

  weight(kind: VoteKind, view: View, subject: string): number {
    return this.#counts.get(`${kind}:${view}`)?.get(subject)?.weight ?? 0;
  }

  add(vote: Vote): Added {
    const at = `${vote.kind}:${vote.view}`;
    const subject = subjectKey(vote);
    const first = this.#voted.get(`${at}:${vote.signer}`);
    if (first !== undefined) {
      return subjectKey(first) === subject ? { t: "known" } : { t: "conflict", first };
    }
    this.#voted.set(`${at}:${vote.signer}`, vote);
    let subjects = this.#counts.get(at);
    if (subjects === undefined) {
      subjects = new Map();
      this.#counts.set(at, subjects);
    }
    let count = subjects.get(subject);
    if (count === undefined) {
      count = { weight: 0, votes: new Map() };
      subjects.set(subject, count);
    }
    count.weight += this.#set.members[vote.signer]!.vote;
    count.votes.set(vote.signer, vote);
    return { t: "added", weight: count.weight };
  }

  /** Bundles every vote counted for the vote's subject; the caller knows that they are a quorum. */
  certificate(like: Vote): Certificate {
    const votes = this.#counts.get(`${like.kind}:${like.view}`)!.get(subjectKey(like))!.votes;
    const signers = [...votes.keys()].sort((a, b) => a - b);
    return {
      kind: like.kind,
      engineEpoch: this.#engineEpoch,
      height: like.height,
      view: like.view,
      validatorsHash: this.#set.hash,
      ...(like.blockHash === undefined ? {} : { blockHash: like.blockHash }),
      ...(like.parentView === undefined ? {} : { parentView: like.parentView }),
      signers: indicesToBitmap(signers, this.#set.members.length),
      signatures: signers.map((signer) => votes.get(signer)!.signature),
    };
  }

  /** Forgets the votes of views below `view`; those of kind finalize stay useful for longer. */
  forgetBelow(view: View): void {
    for (const known of [this.#counts, this.#voted]) {
      for (const key of known.keys()) {
        const [kind, at] = key.split(":");
        const least = kind === "finalize" ? view - FINALIZE_VIEWS_BELOW_MAX : view;
        if (Number(at) < least) known.delete(key);
      }
    }
  }
}
