/** What a peer may still ask and say after how it behaved so far. */
import type { ValidatorId } from "@hanse/protocol";
import type { Clock } from "../engine/interfaces.ts";
import { type EngineEvent, TokenBuckets } from "./runtime.ts";

/**
 * No proposal, certificate or evidence is checked for this long for a peer that sent a forged one,
 * doubled each time up to the maximum, forgotten after a while without.
 */
const MUTED_MS = 1_000;
const MUTED_MS_MAX = 60_000;
const MUTE_FORGOTTEN_MS = 600_000;
/** Pause between two complaints about one peer and code. */
const COMPLAINT_PAUSE_MS = 1_000;
/** Peers and codes whose complaints are held back. */
const COMPLAINTS_MAX = 4_096;

type Complaint = Extract<EngineEvent, { readonly t: "badPeer" }>;

export class PeerConduct {
  readonly #clock: Clock;
  readonly #buckets: TokenBuckets;
  /** Who sent a signature that does not hold: its costly messages wait until then. */
  readonly #muted = new Map<ValidatorId, { until: number; times: number }>();

  constructor(clock: Clock, requestsPerSecond: number) {
    this.#clock = clock;
    this.#buckets = new TokenBuckets(clock, requestsPerSecond);
  }

  /** Counts one request against the peer's rate. */
  mayAsk(peer: ValidatorId): boolean {
    return this.#buckets.take(peer);
  }

  isMuted(peer: ValidatorId): boolean {
    const until = this.#muted.get(peer)?.until;
    return until !== undefined && until > this.#clock.now();
  }

  forged(peer: ValidatorId): void {
    const now = this.#clock.now();
    const before = this.#muted.get(peer);
    // Several messages under check at once are one offence.
    if (before !== undefined && before.until > now) return;
    const isRecent = before !== undefined && now - before.until < MUTE_FORGOTTEN_MS;
    const times = isRecent ? before.times + 1 : 0;
    const ms = Math.min(MUTED_MS_MAX, MUTED_MS * 2 ** Math.min(times, 10));
    this.#muted.set(peer, { until: now + ms, times });
  }
}

/** A peer that misbehaves a thousand times a second must not write a thousand lines. */
export class Complaints {
  readonly #clock: Clock;
  readonly #last = new Map<string, { at: number; held: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The event to be told, with what was held back before; undefined = held back. */
  tell(event: Complaint): Complaint | undefined {
    const key = `${event.peer} ${event.code}`;
    const now = this.#clock.now();
    const last = this.#last.get(key);
    if (last !== undefined && now - last.at < COMPLAINT_PAUSE_MS) {
      last.held++;
      return undefined;
    }
    if (last === undefined && this.#last.size >= COMPLAINTS_MAX) this.#last.clear();
    this.#last.set(key, { at: now, held: 0 });
    return { ...event, count: (last?.held ?? 0) + 1 };
  }
}
