/** Evidence that waits for a block: at most one piece per offence, bounded in number and in time. */
import type { Bytes, ValidatorId, ValidatorSet } from "@hanse/protocol";
import type { Clock, Height } from "../engine/interfaces.ts";
import {
  EVIDENCE_PER_BLOCK_MAX,
  type Evidence,
  encodeEvidence,
  evidenceRefusal,
  offenceKey,
} from "../evidence/evidence.ts";

/** Pieces that wait. */
const WAITING_MAX = 128;
/** Pieces against one validator that wait: one is enough for any consequence. */
const WAITING_PER_VALIDATOR_MAX = 8;
/** A piece that no block took in this time is let go; milliseconds. */
export const EVIDENCE_WAIT_MS_MAX = 24 * 3_600_000;
/** Offences remembered as done, so that they are not collected again. */
const SETTLED_MAX = 1_024;

interface Waiting {
  readonly evidence: Evidence;
  readonly bytes: Bytes;
  readonly since: number;
}

export class EvidencePool {
  readonly #clock: Clock;
  readonly #waiting = new Map<string, Waiting>();
  readonly #settled = new Set<string>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Whether a piece on this offence could still be taken. */
  wants(evidence: Pick<Evidence, "validator" | "height">): boolean {
    const key = offenceKey(evidence);
    if (this.#waiting.has(key) || this.#settled.has(key)) return false;
    return this.#waiting.size < WAITING_MAX && this.#against(evidence.validator);
  }

  #against(validator: ValidatorId): boolean {
    let count = 0;
    for (const { evidence } of this.#waiting.values())
      if (evidence.validator === validator) count++;
    return count < WAITING_PER_VALIDATOR_MAX;
  }

  /** Takes checked evidence; false when it is known or there is no room. */
  add(evidence: Evidence): boolean {
    if (!this.wants(evidence)) return false;
    const bytes = encodeEvidence(evidence);
    this.#waiting.set(offenceKey(evidence), { evidence, bytes, since: this.#clock.now() });
    return true;
  }

  /** What a block of this height may carry, oldest first; forgets what none may any more. */
  offer(block: {
    readonly height: Height;
    readonly engineEpoch: number;
    readonly set: ValidatorSet;
  }): { readonly key: string; readonly bytes: Bytes }[] {
    const offered: { key: string; bytes: Bytes }[] = [];
    const oldest = this.#clock.now() - EVIDENCE_WAIT_MS_MAX;
    for (const [key, { evidence, bytes, since }] of this.#waiting) {
      if (evidence.height >= block.height) continue;
      if (since < oldest || evidenceRefusal(evidence, block) !== undefined) {
        this.#waiting.delete(key);
      } else if (offered.length < EVIDENCE_PER_BLOCK_MAX) {
        offered.push({ key, bytes });
      }
    }
    return offered;
  }

  /** The offence is on the ledger, or the ledger does not want it. */
  settle(key: string): void {
    this.#waiting.delete(key);
    this.#settled.delete(key);
    this.#settled.add(key);
    if (this.#settled.size <= SETTLED_MAX) return;
    for (const oldest of this.#settled) {
      this.#settled.delete(oldest);
      break;
    }
  }
}
