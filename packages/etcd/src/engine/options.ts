/** What the engine is given, and the bounds it works within. */
import type {
  BlockSource,
  Clock,
  Disk,
  EngineEvent,
  Height,
  LedgerApp,
  Transport,
  ValidatorPolicy,
} from "@hanse/ordering";
import type { Bytes, Hash, PublicKey, ValidatorSet } from "@hanse/protocol";
import type { EtcdApi } from "../gateway/etcd-api.ts";

export interface EtcdEngineOptions {
  readonly ledgerId: Hash;
  readonly engineEpoch?: number;
  /** Last height that the engine before this one put in order; 0 = none. */
  readonly base?: Height;
  /** Milliseconds since 1970; block 1 is later. */
  readonly genesisTime: number;
  /** The set in force at a height up to two above the last durable one; asked once, at the start. */
  readonly setAt: (height: Height) => ValidatorSet;
  readonly app: LedgerApp;
  readonly transport: Transport;
  /** A folder of its own for bodies. */
  readonly disk: Disk;
  readonly clock: Clock;
  /** Its leaders are preferred as candidates; etcd's lease decides. */
  readonly policy: ValidatorPolicy;
  /** Durable blocks, for peers that catch up and for our own start. */
  readonly blocks: BlockSource;
  readonly etcd: EtcdApi;
  /** The consensus key's raw signature over a message, 64 bytes. */
  readonly sign: (message: Bytes) => Bytes;
  /** One verdict per check, in order. */
  readonly verify: (
    checks: readonly {
      readonly key: PublicKey;
      readonly message: Bytes;
      readonly signature: Bytes;
    }[],
  ) => Promise<readonly boolean[]>;
  /** Least pause between blocks, milliseconds. */
  readonly blockIntervalMsMin: number;
  readonly blockBytesMax: number;
  readonly tuning?: Partial<EtcdTuning>;
  /** Everything worth a log line or a metric. */
  readonly report?: (event: EngineEvent) => void;
}

export interface EtcdTuning {
  /** Life of a leader's lease without renewal; renewed three times as often. */
  readonly leaseMs: number;
  /** Head start of each member in the order of preference over the next one. */
  readonly campaignStepMs: number;
  /** A leader whose offer finds no majority for so long gives way. */
  readonly resignAfterMs: number;
  /** Pause of such a leader before it is a candidate again. */
  readonly penaltyMs: number;
  /** Pause between repetitions of what nobody answered. */
  readonly resendMs: number;
  /** So often etcd is read although its watch is silent. */
  readonly pollMs: number;
  /** So often peers are told our height. */
  readonly heartbeatMs: number;
  /** Executed heights that may wait for their durable commit. */
  readonly commitLagMax: number;
  /** Heights behind the head from which ranges of blocks are asked for. */
  readonly rangeFrom: number;
  /** Work waiting for so long without a final block counts as stalled. */
  readonly stalledAfterMs: number;
  /** So often the leader deletes records and compacts. */
  readonly housekeepingMs: number;
  /** Records kept for a member that is away; beyond, it catches up from the others. */
  readonly recordsKeptMax: number;
  /** Requests (block, range, attestations) one peer may make per second. */
  readonly requestsPerSecond: number;
  /** Messages of one peer that are read per second; more are dropped, and come again. */
  readonly messagesPerSecond: number;
}

export const DEFAULT_TUNING: EtcdTuning = {
  leaseMs: 3_000,
  campaignStepMs: 300,
  resignAfterMs: 5_000,
  penaltyMs: 10_000,
  resendMs: 500,
  pollMs: 2_000,
  heartbeatMs: 2_000,
  commitLagMax: 4,
  rangeFrom: 8,
  stalledAfterMs: 15_000,
  housekeepingMs: 30_000,
  recordsKeptMax: 10_000,
  requestsPerSecond: 50,
  messagesPerSecond: 1_000,
};

/** Fail-stop of the engine: no lead, no execution after it. */
export type Halt = (code: string, message: string) => void;
