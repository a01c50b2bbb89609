/**
 * Unchecked votes of the open height, one per validator, kind and view. Signatures are checked
 * only once a quorum stands behind one subject, or when a validator contradicts itself.
 */
import { type Bytes, type Certificate, voteMessage } from "@hanse/protocol";
import type { Vote } from "../core/events.ts";
import { subjectKey } from "../core/tally.ts";
import type { SignatureCheck } from "../wire/bodies.ts";
import type { Runtime } from "./runtime.ts";

interface Slot {
  readonly vote: Vote;
  readonly subject: string;
  state: "waiting" | "checking" | "checked";
  /** A second, different vote was checked: evidence exists, a third one adds nothing. */
  contradicted?: boolean;
}

/** Votes of one validator at one height whose signature does not hold, before it is not heard. */
const FORGED_VOTES_MAX = 16;

export class VoteGate {
  readonly #runtime: Runtime;
  /** kind:view:signer -> slot. */
  readonly #slots = new Map<string, Slot>();
  /** By place in the set. */
  readonly #forged = new Map<number, number>();
  #height = 0;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  clear(height: number): void {
    this.#slots.clear();
    this.#forged.clear();
    this.#height = height;
  }

  add(vote: Vote): void {
    if (vote.height !== this.#height) return;
    if ((this.#forged.get(vote.signer) ?? 0) >= FORGED_VOTES_MAX) {
      this.#runtime.dropped("muted");
      return;
    }
    const at = `${vote.kind}:${vote.view}:${vote.signer}`;
    const subject = subjectKey(vote);
    const known = this.#slots.get(at);
    if (known === undefined) {
      this.#slots.set(at, { vote, subject, state: "waiting" });
      this.#checkIfQuorum(vote, subject);
    } else if (known.subject !== subject) {
      if (known.contradicted) {
        this.#runtime.dropped("duplicate");
        return;
      }
      known.contradicted = true;
      // Whoever contradicts itself is worth two checks; the core keeps the pair as evidence.
      const second: Slot = { vote, subject, state: "checking" };
      const both = known.state === "waiting" ? [known, second] : [second];
      for (const slot of both) slot.state = "checking";
      this.#check(both);
    }
  }

  /** Finalize votes for what was decided, checked or not. */
  votesFor(c: Certificate): { readonly signer: number; readonly signature: Bytes }[] {
    const subject = subjectKey(c);
    const votes: Vote[] = [];
    for (const { vote, subject: own } of this.#slots.values()) {
      if (vote.kind === c.kind && vote.view === c.view && vote.height === c.height) {
        if (own === subject) votes.push(vote);
      }
    }
    return votes;
  }

  /** A vote of our own became countable: quorums may be complete now. */
  recheck(): void {
    const subjects = new Map<string, Slot>();
    for (const slot of this.#slots.values()) {
      if (slot.state !== "waiting") continue;
      subjects.set(`${slot.vote.kind}:${slot.vote.view}:${slot.subject}`, slot);
    }
    for (const slot of subjects.values()) this.#checkIfQuorum(slot.vote, slot.subject);
  }

  #checkIfQuorum(like: Vote, subject: string): void {
    const { core } = this.#runtime;
    const { set, tally, quorum, self } = core.open;
    let weight = tally.weight(like.kind, like.view, subject);
    const own = core.open.own.get(`${like.kind}:${like.view}`)?.vote;
    // Our own vote counts as soon as it is durable; checking the others may begin before.
    if (own !== undefined && subjectKey(own) === subject) {
      if (tally.voteOf(like.kind, like.view, self) === undefined) weight += set.members[self]!.vote;
    }
    const waiting: Slot[] = [];
    for (const slot of this.#slots.values()) {
      const { vote } = slot;
      if (vote.kind !== like.kind || vote.view !== like.view || slot.subject !== subject) continue;
      if (slot.state === "waiting") waiting.push(slot);
      if (slot.state !== "checked") weight += set.members[vote.signer]!.vote;
    }
    if (waiting.length === 0 || weight < quorum) return;
    for (const slot of waiting) slot.state = "checking";
    this.#check(waiting);
  }

  #check(slots: readonly Slot[]): void {
    const { core, options, engineEpoch } = this.#runtime;
    const { set } = core.open;
    let last: Vote | undefined;
    let message = new Uint8Array(0);
    const checks: SignatureCheck[] = slots.map(({ vote }) => {
      if (last === undefined || subjectKey(last) !== subjectKey(vote)) {
        last = vote;
        message = new Uint8Array(
          voteMessage({
            kind: vote.kind,
            ledgerId: options.ledgerId,
            engineEpoch,
            height: vote.height,
            view: vote.view,
            validatorsHash: set.hash,
            ...(vote.blockHash === undefined ? {} : { blockHash: vote.blockHash }),
            ...(vote.parentView === undefined ? {} : { parentView: vote.parentView }),
          }),
        );
      }
      return { key: set.members[vote.signer]!.key, message, signature: vote.signature };
    });
    const height = this.#height;
    options.verify(checks).then(
      (verdicts) => {
        if (this.#runtime.stopped || this.#height !== height) return;
        for (const [i, slot] of slots.entries()) {
          if (this.#height !== height) return;
          if (verdicts[i] === true) {
            slot.state = "checked";
            this.#runtime.step({ t: "vote", vote: slot.vote });
          } else {
            this.#drop(slot);
          }
        }
      },
      (error: unknown) => this.#runtime.halt("ORDERING_VERIFY", String(error)),
    );
  }

  #drop(slot: Slot): void {
    const { vote } = slot;
    const at = `${vote.kind}:${vote.view}:${vote.signer}`;
    const kept = this.#slots.get(at);
    if (kept === slot) this.#slots.delete(at);
    else if (kept !== undefined) kept.contradicted = false;
    this.#forged.set(vote.signer, (this.#forged.get(vote.signer) ?? 0) + 1);
    const peer = this.#runtime.core.open.set.members[vote.signer]?.id;
    if (peer !== undefined) {
      this.#runtime.report({ t: "badPeer", peer, code: "ORDERING_VOTE_SIGNATURE" });
    }
  }
}
