/**
 * A light client: keeps a trusted block up to date from headers that anybody hands over, with one
 * header per change of the validator set, or none where enough of the trusted weight signed the
 * newest block (spec/light.md). It does no input or output: `fetch` brings the pages.
 */
import {
  type Bytes,
  decodeLightPage,
  equalBytes,
  followLightBlock,
  HanseError,
  type LightBlock,
  type LightPage,
  type LightState,
  type LightStep,
  maySkip,
  type ReceiptTrust,
  readyKeyBackends,
  type TrustedSet,
  trustedSetOf,
} from "@hanse/protocol";

export interface LightRequest {
  /** Set changes from this height on are wanted: that of the trusted block, or the one above. */
  readonly from: number;
  /** Whether the set changes are wanted at all, or the newest block alone. */
  readonly changes: boolean;
  /** The block of this height is wanted instead of the newest. */
  readonly at?: number;
}

export interface LightClientOptions {
  /** A genesis document or a block and its set, from a source that the caller believes. */
  readonly trust: ReceiptTrust;
  /** Brings an encoded page of `spec/light.md`, e.g. from `/v1/light` of any node. */
  readonly fetch: (request: LightRequest) => Promise<Bytes>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** For so long after its block's time a trusted set may vouch for others; 14 days unless given. */
  readonly trustingMs?: number;
}

/** What one `sync` did. */
export interface LightProgress {
  /** Height trusted before. */
  readonly from: number;
  readonly trust: TrustedSet;
  readonly pages: number;
  /** How each header that was believed came to be believed, in order. */
  readonly steps: readonly { readonly height: number; readonly step: LightStep }[];
}

export interface LightClient {
  readonly trust: TrustedSet;
  /**
   * Follows the ledger to the newest proven block of whoever answers; what was trusted stays
   * trusted if it fails on the way.
   * @throws HanseError `LIGHT_REFUSED` with the reason, `LIGHT_TRUST_EXPIRED` when what is trusted
   * is older than the trusting period, `LIGHT_PAGES` after too many pages, the codes of
   * `decodeLightPage`, or what `fetch` throws.
   */
  sync(): Promise<LightProgress>;
}

/** Pages that one `sync` reads; each holds up to 200 set changes. */
export const LIGHT_PAGES_MAX = 100;
export const DAY_MS = 86_400_000;
/**
 * Trusting period unless another is given. Members that left keep their keys and may lose them; the
 * longer ago, the less holds them back from signing another history.
 */
export const TRUSTING_MS = 14 * DAY_MS;
/** A header may be so far ahead of the clock; what is dated later would stay trusted too long. */
export const LIGHT_AHEAD_MS_MAX = 60_000;

function refused(reason: string): never {
  throw new HanseError("LIGHT_REFUSED", "rejected", reason);
}

function checkAge({ height, time }: TrustedSet, now: number, trustingMs: number): void {
  const ageMs = now - time!;
  if (ageMs <= trustingMs) return;
  const days = (ms: number) => `${Math.round((ms / DAY_MS) * 10) / 10} days`;
  throw new HanseError(
    "LIGHT_TRUST_EXPIRED",
    "rejected",
    `the trusted block ${height} is ${days(ageMs)} old, the trusting period is ${days(trustingMs)}: get a newer trusted block from an organization that you believe, or, if the keys of the members of that time are still safe, give a longer period (--trusting-days)`,
    { details: { height, ageMs, trustingMs } },
  );
}

export function createLightClient({
  trust,
  fetch,
  now,
  trustingMs = TRUSTING_MS,
}: LightClientOptions): LightClient {
  let state: LightState = { trust: trustedSetOf(trust) };

  async function sync(): Promise<LightProgress> {
    await readyKeyBackends();
    const from = state.trust.height;
    const steps: { height: number; step: LightStep }[] = [];
    let pages = 0;

    const read = async (changes: boolean, at?: number): Promise<LightPage> => {
      if (pages++ >= LIGHT_PAGES_MAX) {
        throw new HanseError(
          "LIGHT_PAGES",
          "limit",
          `more than ${LIGHT_PAGES_MAX} pages of set changes: call again to go on from height ${state.trust.height}`,
        );
      }
      // The trusted header is wanted once more where only its hash is known: it may hand over.
      const next = state.trust.height + (state.header === undefined ? 0 : 1);
      const wanted = { from: next, changes };
      const page = decodeLightPage(await fetch(at === undefined ? wanted : { ...wanted, at }));
      if (!equalBytes(page.ledgerId, state.trust.ledgerId))
        refused("the page is of another ledger");
      return page;
    };
    const take = (block: LightBlock): string | undefined => {
      const { height, time } = block.proof.header;
      if (time > now() + LIGHT_AHEAD_MS_MAX) return `block ${height}: it is ahead of the clock`;
      const verdict = followLightBlock(state, block);
      if (!verdict.ok) return verdict.reason;
      state = verdict.state;
      steps.push({ height: state.trust.height, step: verdict.step });
      return undefined;
    };
    const done = () => ({ from, trust: state.trust, pages, steps });

    if (state.trust.time === undefined) {
      // Known by its hash alone: the header says how old it is.
      const { newest } = await read(false, from);
      const reason = newest.proof.header.height === from ? take(newest) : "it is of another height";
      if (reason !== undefined) refused(reason);
      steps.length = 0;
    }
    checkAge(state.trust, now(), trustingMs);
    const { newest } = await read(false);
    const { height } = newest.proof.header;
    if (height < state.trust.height) {
      refused(`its newest block ${height} is below the trusted height ${state.trust.height}`);
    }
    const reason = take(newest);
    if (reason === undefined) return done();
    // A block at the trusted height that differs, or a signature that does not hold, is no matter
    // of set changes; they are asked for once all the same, and lead nowhere then.
    for (;;) {
      const before = steps.length;
      const page = await read(true);
      followChanges(page, take, () => state);
      if (page.complete) {
        const last = take(page.newest);
        if (last !== undefined) refused(last);
        return done();
      }
      if (steps.length === before) refused(reason);
    }
  }

  return {
    get trust() {
      return state.trust;
    },
    sync,
  };
}

/** Walks a page: each time to the furthest block that may be skipped to, else to the next. */
function followChanges(
  { changes }: LightPage,
  take: (block: LightBlock) => string | undefined,
  state: () => LightState,
): void {
  for (let at = 0; at < changes.length; ) {
    let next = at;
    for (let far = changes.length - 1; far > at; far--) {
      // Cheap: who could have signed at all. Only the furthest candidate is verified.
      if (!maySkip(state().trust.set, changes[far]!.set)) continue;
      if (take(changes[far]!) === undefined) next = far + 1;
      break;
    }
    if (next === at) {
      const reason = take(changes[at]!);
      if (reason !== undefined) refused(reason);
      next = at + 1;
    }
    at = next;
  }
}
