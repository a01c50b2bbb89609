/** CometBFT as ordering engine: our ledger is its application, its blocks carry ours. */
import type { EngineCaps, OrderingEngine, OrderingStatus } from "@hanse/ordering";
import { toHanseError, totalWeight } from "@hanse/protocol";
import { type AbciServer, openAbciServer } from "../abci/server.ts";
import { cometSize, toCometTransactions } from "./block-frame.ts";
import { CometApp } from "./comet-app.ts";
import { Doorbell } from "./doorbell.ts";
import { type CometEngineOptions, frameBytesMax, STALLED_AFTER_MS } from "./options.ts";
import { ProofKeeper } from "./proof-keeper.ts";

/** Every so often CometBFT is asked for its peers and whether it syncs. */
const POLL_MS = 1_000;
/** Heights whose timings are kept until they are proven. */
const TIMINGS_MAX = 64;

/** What a ledger may expect of CometBFT. */
export function cometCaps(blockBytesMax: number): EngineCaps {
  return {
    kind: "cometbft",
    faultModel: "byzantine",
    faultyWeightMax: (set) => Math.ceil(totalWeight(set) / 3) - 1,
    proof: "comet",
    leaderPolicy: "engine-owned",
    separateProposeWeight: false,
    mempool: "platform",
    blockBytesMax,
    accountableFaults: true,
  };
}

/** @throws nothing; `start` throws when ledger, address and genesis do not fit together. */
export function createCometEngine(options: CometEngineOptions): OrderingEngine {
  return new CometEngine(options);
}

class CometEngine implements OrderingEngine {
  readonly kind = "cometbft";
  readonly #options: CometEngineOptions;
  readonly #bell: Doorbell;
  #app: CometApp | undefined;
  #server: AbciServer | undefined;
  #proofs: ProofKeeper | undefined;
  #poll: { cancel(): void } | undefined;
  #stopped = false;
  #syncing = true;
  #connected: ReadonlySet<string> = new Set();
  #proposer: string | undefined;
  #proposals = 0;
  /** Of blocks that are not proven yet. */
  readonly #timings = new Map<number, { agreedMs: number | undefined; executedMs: number }>();
  /** Since when work waits for the next block. */
  #waitingSince: number | undefined;

  constructor(options: CometEngineOptions) {
    this.#options = options;
    const { app, clock, rpc } = options;
    this.#bell = new Doorbell({
      clock,
      hasWork: () => app.hasWork(),
      deliver: (bell) => rpc.broadcast(bell),
    });
  }

  async start(): Promise<void> {
    const options = this.#options;
    const { app, blocks, clock, ledgerId, rpc, setAt, report } = options;
    const bell = this.#bell;
    const comet = await CometApp.open(options, {
      onHandshake: () => bell.lost(),
      keepBell: (transaction) => bell.keep(transaction),
      onFinal: ({ block, proposals, executedMs }) => {
        const { height, proposer } = block.header;
        const since = this.#waitingSince;
        this.#waitingSince = undefined;
        this.#proposer = proposer;
        this.#proposals = proposals;
        bell.progress();
        const agreedMs = since === undefined ? undefined : clock.now() - since - executedMs;
        this.#timings.set(height, { agreedMs, executedMs });
        this.#timings.delete(height - TIMINGS_MAX);
      },
      onCommitted: (block, set) => {
        report?.({ t: "committed", height: block.header.height });
        this.#proofs?.committed(block, set);
        this.#watchWork();
      },
      onMisbehavior: (message) => report?.({ t: "alarm", code: "COMET_MISBEHAVIOR", message }),
      onHalt: ({ code, message }) => report?.({ t: "halted", code, message }),
    });
    this.#app = comet;
    const first = options.initialHeight ?? 1;
    const unproven = await ProofKeeper.firstUnproven(blocks, first, comet.height);
    this.#proofs = new ProofKeeper(
      {
        app,
        blocks,
        rpc,
        clock,
        ledgerId,
        setAt,
        // Only now it is known who signed, and in which round.
        onProven: ({ block, round, signers }) => {
          const { height, proposer } = block.header;
          const timing = this.#timings.get(height);
          this.#timings.delete(height);
          report?.({
            t: "final",
            height,
            proposer,
            views: round + 1,
            signers,
            bytes: cometSize(toCometTransactions(block)),
            transactions: block.transactions.length,
            agreedMs: timing?.agreedMs,
            executedMs: timing?.executedMs ?? 0,
          });
        },
        onFailure: ({ code, message }) => report?.({ t: "alarm", code, message }),
      },
      unproven,
      comet.height,
    );
    this.#server = await openAbciServer({
      address: options.address,
      frameBytesMax: frameBytesMax(options.blockBytesMax),
      handle: (request) => comet.handle(request),
      onBadConnection: ({ code, message }) => report?.({ t: "alarm", code, message }),
    });
    options.process?.start(this.#server.url);
    this.#proofs.go();
    this.#pollLater();
    this.wake();
  }

  async stop(how: "drain" | "now"): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#bell.stop();
    this.#proofs?.stop();
    this.#poll?.cancel();
    // CometBFT first: without its application it would end with an error.
    await this.#options.process?.stop();
    await this.#server?.close(how);
  }

  wake(): void {
    if (this.#stopped || this.#app === undefined || this.#app.halted !== undefined) return;
    this.#watchWork();
    this.#bell.wake();
  }

  #watchWork(): void {
    const { app, clock } = this.#options;
    if (!app.hasWork()) this.#waitingSince = undefined;
    else this.#waitingSince ??= clock.now();
  }

  status(): OrderingStatus {
    const { self, clock, process, stalledAfterMs = STALLED_AFTER_MS } = this.#options;
    const app = this.#app;
    const since = this.#waitingSince;
    const height = app?.height ?? 0;
    const members = app?.set.members ?? [];
    const isMember = members.some(({ id }) => id === self);
    const stalled = since !== undefined && clock.now() - since >= stalledAfterMs;
    return {
      height,
      view: Math.max(0, this.#proposals - 1),
      role: !isMember ? "observer" : this.#proposer === self ? "leader" : "follower",
      syncing: this.#syncing,
      quarantined: app?.halted?.message ?? process?.failure,
      stalledSince: stalled ? since : undefined,
      peers: members
        .filter(({ id }) => id !== self)
        .map(({ id }) => ({ id, connected: this.#connected.has(id), height })),
    };
  }

  #pollLater(): void {
    if (this.#stopped) return;
    this.#poll = this.#options.clock.setTimer(POLL_MS, () => void this.#ask());
  }

  async #ask(): Promise<void> {
    const { rpc, report } = this.#options;
    try {
      const [status, peers] = await Promise.all([rpc.status(), rpc.peers()]);
      this.#connected = new Set(peers);
      if (this.#syncing && !status.syncing) report?.({ t: "synced", height: status.height });
      this.#syncing = status.syncing;
    } catch (thrown) {
      this.#connected = new Set();
      const { kind, code, message } = toHanseError(thrown);
      if (kind !== "unavailable") report?.({ t: "alarm", code, message });
    }
    this.#pollLater();
  }
}
