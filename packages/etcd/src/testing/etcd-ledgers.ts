/**
 * Members in one process: real ledgers in memory, the real engine, etcd in memory. `crash` leaves
 * of a member what was durable, at any instruction: from a chosen call on nothing of it happens.
 */
import {
  type Channel,
  type Clock,
  createFixedPolicy,
  type Disk,
  type EngineEvent,
  type LedgerApp,
  type OrderingEngine,
  type Transport,
} from "@hanse/ordering";
import { genesisValidatorSet, ledgerIdOf, signMessage, verifySignature } from "@hanse/protocol";
import { createMemoryLedgerStore, type MemoryLedgerStore } from "../../../ledger/src/index.ts";
import {
  createRigGenesis,
  createRigNode,
  type ManualClock,
  type RigGenesis,
  type RigNode,
  signNote,
} from "../../../ledger/src/testing/ledger-rig.ts";
import type { MemoryDisk } from "../../../ledger/src/testing/memory-disk.ts";
import { createMemoryDisk } from "../../../ledger/src/testing/memory-disk.ts";
import { createEtcdEngine, type EtcdApi, type EtcdTuning } from "../index.ts";
import { createMemoryEtcd, type MemoryEtcd } from "./memory-etcd.ts";

export const realClock: ManualClock = {
  now: () => Date.now(),
  setTimer(ms, fire) {
    const timer = setTimeout(fire, ms);
    return { cancel: () => clearTimeout(timer) };
  },
  advance() {},
};

/** Quick, so that tests need not wait; patient where a busy machine would be late. */
export const TEST_TUNING: Partial<EtcdTuning> = {
  leaseMs: 1_500,
  campaignStepMs: 50,
  resignAfterMs: 1_500,
  penaltyMs: 1_000,
  resendMs: 100,
  pollMs: 300,
  heartbeatMs: 200,
  housekeepingMs: 200,
  stalledAfterMs: 600,
};

/** A node's life: counts what it does to the outside and ends at a chosen count. */
export class Life {
  #calls = 0;
  #last = Number.POSITIVE_INFINITY;
  dead = false;
  get calls(): number {
    return this.#calls;
  }
  endAfter(calls: number): void {
    this.#last = calls;
  }
  /** Never resolves once the life is over. */
  async step<Result>(run: () => Promise<Result>): Promise<Result> {
    this.#count();
    const never = new Promise<Result>(() => {});
    if (this.dead) return never;
    try {
      const result = await run();
      return this.dead ? never : result;
    } catch (error) {
      if (this.dead) return never;
      throw error;
    }
  }
  do(run: () => void): void {
    this.#count();
    if (!this.dead) run();
  }
  #count(): void {
    this.#calls++;
    if (this.#calls > this.#last) this.dead = true;
  }
}

export interface Hub {
  connect(self: string, life: Life): Transport;
  cut(id: string): void;
  heal(id: string): void;
}

/** Links between members of one process. */
export function createHub(): Hub {
  type Handler = (from: string, channel: Channel, message: Uint8Array) => void;
  const ends = new Map<
    string,
    { life: Life; message: Handler[]; peer: ((id: string, up: boolean) => void)[] }
  >();
  const silent = new Set<string>();
  const reaches = (from: string, to: string) => !silent.has(from) && !silent.has(to);
  return {
    connect(self, life) {
      ends.set(self, { life, message: [], peer: [] });
      const deliver = (to: string, channel: Channel, message: Uint8Array) => {
        if (life.dead) return;
        const copy = message.slice();
        setImmediate(() => {
          const end = ends.get(to);
          if (end === undefined || end.life.dead || !reaches(self, to)) return;
          for (const handler of end.message) handler(self, channel, copy);
        });
      };
      const others = () =>
        [...ends]
          .filter(([id, end]) => id !== self && !end.life.dead && reaches(self, id))
          .map(([id]) => id);
      return {
        self,
        send: deliver,
        broadcast(channel, message) {
          for (const to of others()) deliver(to, channel, message);
        },
        onMessage: (handler) => void ends.get(self)!.message.push(handler),
        onPeer: (handler) => void ends.get(self)!.peer.push(handler),
        peers: others,
      };
    },
    cut: (id) => void silent.add(id),
    heal(id) {
      silent.delete(id);
      for (const [self, end] of ends) {
        if (self !== id && !end.life.dead) for (const up of end.peer) up(id, true);
      }
      for (const other of ends.keys()) {
        if (other !== id) for (const up of ends.get(id)?.peer ?? []) up(other, true);
      }
    },
  };
}

export interface Member {
  readonly index: number;
  readonly id: string;
  readonly life: Life;
  readonly node: RigNode;
  readonly engine: OrderingEngine;
  readonly store: MemoryLedgerStore;
  readonly bodies: MemoryDisk;
  readonly journal: MemoryDisk;
  readonly events: EngineEvent[];
}

export interface EtcdCluster {
  readonly rig: RigGenesis;
  readonly etcd: MemoryEtcd;
  readonly hub: Hub;
  readonly members: Member[];
  /** Ends a member without a word. */
  crash(index: number): void;
  /** A new process over what the old one left durable. */
  restart(index: number, endAfter?: number): Promise<Member>;
  /** Submits a note through a member and waits for its finality there. */
  submit(index: number, key: string, timeoutMs?: number): Promise<void>;
  stop(): Promise<void>;
}

function mortal(life: Life, app: LedgerApp, disk: Disk, etcd: EtcdApi) {
  const liveApp: LedgerApp = {
    info: () => life.step(() => app.info()),
    buildBlock: (request) => life.step(() => app.buildBlock(request)),
    validateBlock: (block, hash) => life.step(() => app.validateBlock(block, hash)),
    finalizeBlock: (decided) => life.step(() => app.finalizeBlock(decided)),
    commit: (height) => life.step(() => app.commit(height)),
    prove: (proof) => life.step(() => app.prove(proof)),
    hasWork: () => app.hasWork(),
  };
  const liveDisk: Disk = {
    ...disk,
    append: (name, bytes) => life.do(() => disk.append(name, bytes)),
    write: (name, bytes) => life.do(() => disk.write(name, bytes)),
    remove: (name) => life.do(() => disk.remove(name)),
    sync: () => life.step(() => disk.sync()),
  };
  const liveEtcd: EtcdApi = {
    ...etcd,
    range: (request) => life.step(() => etcd.range(request)),
    putIf: (compares, puts) => life.step(() => etcd.putIf(compares, puts)),
    grantLease: (ttlMs) => life.step(() => etcd.grantLease(ttlMs)),
    keepAlive: (lease) => life.step(() => etcd.keepAlive(lease)),
  };
  return { app: liveApp, disk: liveDisk, etcd: liveEtcd };
}

async function startMember(
  rig: RigGenesis,
  etcd: MemoryEtcd,
  hub: Hub,
  index: number,
  left: {
    readonly store: MemoryLedgerStore;
    readonly bodies: MemoryDisk;
    readonly journal: MemoryDisk;
  },
  tuning: Partial<EtcdTuning>,
  endAfter: number,
): Promise<Member> {
  const life = new Life();
  life.endAfter(endAfter);
  const { id } = rig.genesis.nodes[index]!;
  const { store, bodies, journal } = left;
  const node = await createRigNode(rig, { clock: realClock, store, disk: journal });
  const events: EngineEvent[] = [];
  const transport = hub.connect(id, life);
  transport.onMessage((from, channel, message) => {
    if (channel === "transactions" && !life.dead) void node.ledger.incoming(message, from);
  });
  node.ledger.onOutgoing((batch) => transport.broadcast("transactions", batch));
  const clock: Clock = {
    now: realClock.now,
    setTimer: (ms, fire) => realClock.setTimer(ms, () => !life.dead && fire()),
  };
  const set = genesisValidatorSet(rig.genesis);
  const engine = createEtcdEngine({
    ...mortal(life, node.ledger, bodies, etcd.connect(id)),
    ledgerId: rig.ledgerId,
    genesisTime: rig.genesis.time,
    setAt: () => set,
    transport,
    clock,
    policy: createFixedPolicy(),
    blocks: store,
    sign: (message) => signMessage(rig.nodeKeys[index]!, message),
    verify: async (checks) => checks.map((c) => verifySignature(c.key, c.message, c.signature)),
    blockIntervalMsMin: rig.genesis.params.blockIntervalMsMin,
    blockBytesMax: rig.genesis.params.blockBytesMax,
    tuning: { ...TEST_TUNING, ...tuning },
    report: (event) => events.push(event),
  });
  node.ledger.onWork(() => engine.wake());
  const started = engine.start();
  // A start that its own end interrupts never returns.
  await Promise.race([started, until("start", () => life.dead, 5_000).catch(() => {})]);
  return { index, id, life, node, engine, store, bodies, journal, events };
}

export async function createEtcdCluster(
  size: number,
  tuning: Partial<EtcdTuning> = {},
): Promise<EtcdCluster> {
  const organizations = ["a", "b", "c", "d", "e", "f", "g"].slice(0, size);
  const made = await createRigGenesis({ organizations, params: { blockIntervalMsMin: 1 } });
  const validators = { ...made.genesis.validators, quorum: "crash" as const };
  const genesis = { ...made.genesis, validators };
  const rig: RigGenesis = { ...made, genesis, ledgerId: ledgerIdOf(genesis) };
  const etcd = createMemoryEtcd(realClock.now);
  const hub = createHub();
  const members: Member[] = [];
  for (const [index] of organizations.entries()) {
    const left = {
      store: createMemoryLedgerStore(),
      bodies: createMemoryDisk(),
      journal: createMemoryDisk(),
    };
    const never = Number.POSITIVE_INFINITY;
    members.push(await startMember(rig, etcd, hub, index, left, tuning, never));
  }
  const crash = (index: number) => {
    members[index]!.life.endAfter(0);
    members[index]!.life.dead = true;
  };
  return {
    rig,
    etcd,
    hub,
    members,
    crash,
    async restart(index, endAfter = Number.POSITIVE_INFINITY) {
      const before = members[index]!;
      crash(index);
      await before.engine.stop("now");
      await before.node.ledger.stop();
      const { bodies, journal } = before;
      const left = { store: await before.store.reopen(), bodies, journal };
      members[index] = await startMember(rig, etcd, hub, index, left, tuning, endAfter);
      return members[index]!;
    },
    async submit(index, key, timeoutMs = 30_000) {
      const { ledger } = members[index]!.node;
      const person = rig.people[index % rig.people.length]!;
      const validUntil = Date.now() + 60_000;
      const note = signNote(person.pair, key, "value", { ledgerId: rig.ledgerId, validUntil });
      await ledger.submit(note.bytes);
      const status = await ledger.waitFor(note.id, "final", { timeoutMs });
      if (status.state !== "final" || status.outcome.code !== "ok") {
        throw new Error(`note ${key}: ${JSON.stringify(status)}`);
      }
    },
    async stop() {
      for (const [index, member] of members.entries()) {
        const how = member.life.dead ? "now" : "drain";
        const stopped = member.engine.stop(how);
        await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, 2_000).unref())]);
        await member.node.ledger.stop();
        crash(index);
      }
    },
  };
}

export async function until(what: string, holds: () => boolean, timeoutMs = 30_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
