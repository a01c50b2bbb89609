/**
 * Members of one ledger in one process: real ledgers in memory with any ordering engine over links
 * that can be cut. A crash leaves of a member what it had synced, at any instruction: from a chosen
 * call to the outside on nothing of it happens.
 */
import {
  applyUpdates,
  type Channel,
  type Clock,
  type Disk,
  type EngineEvent,
  type LedgerApp,
  type OrderingEngine,
  type QuorumRule,
  type Transport,
  type ValidatorUpdate,
} from "@hanse/ordering";
import {
  type Bytes,
  genesisValidatorSet,
  type Hash,
  hashHeader,
  ledgerIdOf,
  toHex,
  type ValidatorSet,
} from "@hanse/protocol";
import { createMemoryLedgerStore, type MemoryLedgerStore } from "../index.ts";
import {
  createRigGenesis,
  createRigNode,
  type ManualClock,
  type RigGenesis,
  type RigNode,
  signNote,
} from "./ledger-rig.ts";
import { createMemoryDisk, type MemoryDisk } from "./memory-disk.ts";

export const realClock: ManualClock = {
  now: () => Date.now(),
  setTimer(ms, fire) {
    const timer = setTimeout(fire, ms);
    return { cancel: () => clearTimeout(timer) };
  },
  advance() {},
};

/** A member's life: counts what it does to the outside and ends at a chosen count. */
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

type MessageHandler = (from: string, channel: Channel, message: Uint8Array) => void;
type PeerHandler = (id: string, up: boolean) => void;

export interface Hub {
  connect(self: string, life: Life): Transport;
  /** Nothing passes to or from it any more. */
  cut(id: string): void;
  heal(id: string): void;
}

/** Links between members of one process; `tap` sees what is sent. */
export function createHub(tap?: (from: string, channel: Channel, message: Bytes) => void): Hub {
  const ends = new Map<
    string,
    { readonly life: Life; readonly message: MessageHandler[]; readonly peer: PeerHandler[] }
  >();
  const silent = new Set<string>();
  const reaches = (from: string, to: string) => !silent.has(from) && !silent.has(to);
  return {
    connect(self, life) {
      ends.set(self, { life, message: [], peer: [] });
      const deliver = (to: string, channel: Channel, message: Uint8Array) => {
        if (life.dead) return;
        tap?.(self, channel, message);
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
        if (self !== id && !end.life.dead) for (const handler of end.peer) handler(id, true);
      }
      for (const other of ends.keys()) {
        if (other !== id) for (const handler of ends.get(id)?.peer ?? []) handler(other, true);
      }
    },
  };
}

/** What an engine of a member is made from. */
export interface EngineParts {
  readonly rig: RigGenesis;
  readonly index: number;
  readonly life: Life;
  readonly app: LedgerApp;
  readonly disk: Disk;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly store: MemoryLedgerStore;
  /** The set in force at a height. */
  readonly setAt: (height: number) => ValidatorSet;
  readonly report: (event: EngineEvent) => void;
}

export interface Member {
  readonly index: number;
  readonly id: string;
  readonly life: Life;
  readonly node: RigNode;
  readonly engine: OrderingEngine;
  readonly store: MemoryLedgerStore;
  readonly disk: MemoryDisk;
  readonly journal: MemoryDisk;
  readonly events: EngineEvent[];
  /** Hashes of blocks that its ledger drafted, and of those it accepted as valid. */
  readonly drafted: Set<string>;
  readonly accepted: Set<string>;
}

export interface ClusterOptions {
  readonly size: number;
  readonly quorum: QuorumRule;
  /** Only the first so many are in the set of genesis. */
  readonly validators?: number;
  readonly createEngine: (parts: EngineParts) => Promise<OrderingEngine>;
  /** Prepares a member's disk once, before its first start. */
  readonly createDisk?: (rig: RigGenesis, index: number, disk: Disk) => Promise<void>;
  /** Sees and may replace what a member's ledger says. */
  readonly wrapApp?: (app: LedgerApp, index: number, genesisSet: ValidatorSet) => LedgerApp;
  readonly tap?: (from: string, channel: Channel, message: Bytes) => void;
}

export interface LedgerCluster {
  readonly rig: RigGenesis;
  readonly hub: Hub;
  readonly members: Member[];
  /** Updates of the validator set that the execution of a height returns; set before it is reached. */
  readonly updates: Map<number, readonly ValidatorUpdate[]>;
  /** The set in force at a height, with the updates known so far. */
  setAt(height: number): ValidatorSet;
  /** Ends a member without a word; what it had not synced is gone. */
  crash(index: number): void;
  /** A new process over what the old one left durable; it ends by itself after so many calls. */
  restart(index: number, endAfter?: number): Promise<Member>;
  /** A signed note, not submitted. */
  sign(index: number, key: string): { readonly bytes: Bytes; readonly id: Hash };
  /** Submits a note through a member and waits for its finality there. */
  submit(index: number, key: string, timeoutMs?: number): Promise<Hash>;
  stop(): Promise<void>;
}

/** Machines that run the tests may be busy with other things. */
const WAIT_MS = 90_000;
/** Of what a crash finds not synced, so much of each file is left. */
const TORN_BYTES = 7;

function mortalDisk(life: Life, disk: Disk): Disk {
  return {
    ...disk,
    append: (name, bytes) => life.do(() => disk.append(name, bytes)),
    write: (name, bytes) => life.do(() => disk.write(name, bytes)),
    remove: (name) => life.do(() => disk.remove(name)),
    sync: () => life.step(() => disk.sync()),
  };
}

function mortalApp(
  life: Life,
  app: LedgerApp,
  seen: { readonly drafted: Set<string>; readonly accepted: Set<string> },
  updates: ReadonlyMap<number, readonly ValidatorUpdate[]>,
): LedgerApp {
  return {
    info: () => life.step(() => app.info()),
    buildBlock: (request) =>
      life.step(async () => {
        const block = await app.buildBlock(request);
        seen.drafted.add(toHex(hashHeader(block.header)));
        return block;
      }),
    validateBlock: (block, hash) =>
      life.step(async () => {
        const verdict = await app.validateBlock(block, hash);
        if (verdict.ok) seen.accepted.add(toHex(hash));
        return verdict;
      }),
    finalizeBlock: (decided) =>
      life.step(async () => {
        const result = await app.finalizeBlock(decided);
        const validatorUpdates = updates.get(result.height);
        return validatorUpdates === undefined ? result : { ...result, validatorUpdates };
      }),
    commit: (height) => life.step(() => app.commit(height)),
    prove: (proof) => life.step(() => app.prove(proof)),
    hasWork: () => app.hasWork(),
  };
}

let clusters = 0;

export async function createLedgerCluster(options: ClusterOptions): Promise<LedgerCluster> {
  const organizations = ["a", "b", "c", "d", "e", "f", "g"].slice(0, options.size);
  const made = await createRigGenesis({ organizations, params: { blockIntervalMsMin: 1 } });
  const all = made.genesis.validators.members;
  const members = all.slice(0, options.validators ?? options.size);
  // A ledger id of its own: clusters of one process may share what is outside of them.
  const ledger = `cluster-${++clusters}`;
  const genesis = { ...made.genesis, ledger, validators: { quorum: options.quorum, members } };
  const rig: RigGenesis = { ...made, genesis, ledgerId: ledgerIdOf(genesis) };
  const hub = createHub(options.tap);
  const updates = new Map<number, readonly ValidatorUpdate[]>();
  const first = genesisValidatorSet(genesis);
  const setAt = (height: number): ValidatorSet => {
    let set = first;
    for (const [at, change] of [...updates].sort(([a], [b]) => a - b)) {
      if (at + 2 <= height) set = applyUpdates(set, change);
    }
    return set;
  };
  const running: Member[] = [];

  async function start(
    index: number,
    left: {
      readonly store: MemoryLedgerStore;
      readonly disk: MemoryDisk;
      readonly journal: MemoryDisk;
    },
    endAfter: number,
  ): Promise<void> {
    const life = new Life();
    life.endAfter(endAfter);
    const { id } = rig.genesis.nodes[index]!;
    const { store, disk, journal } = left;
    const node = await createRigNode(rig, { clock: realClock, store, disk: journal });
    const events: EngineEvent[] = [];
    const transport = hub.connect(id, life);
    transport.onMessage((from, channel, message) => {
      if (channel === "transactions" && !life.dead) void node.ledger.incoming(message, from);
    });
    node.ledger.onOutgoing((batch) => transport.broadcast("transactions", batch));
    const seen = { drafted: new Set<string>(), accepted: new Set<string>() };
    const app = options.wrapApp?.(node.ledger, index, first) ?? node.ledger;
    const engine = await options.createEngine({
      rig,
      index,
      life,
      app: mortalApp(life, app, seen, updates),
      disk: mortalDisk(life, disk),
      transport,
      clock: {
        now: realClock.now,
        setTimer: (ms, fire) => realClock.setTimer(ms, () => !life.dead && fire()),
      },
      store,
      setAt,
      report: (event) => events.push(event),
    });
    node.ledger.onWork(() => engine.wake());
    const started = engine.start();
    // A start that its own end interrupts never returns.
    await Promise.race([started, until("start", () => life.dead, 5_000).catch(() => {})]);
    running[index] = { index, id, life, node, engine, ...left, events, ...seen };
  }

  const crash = (index: number) => {
    running[index]!.life.dead = true;
  };
  const sign = (index: number, key: string) => {
    const person = rig.people[index % rig.people.length]!;
    const validUntil = Date.now() + 600_000;
    return signNote(person.pair, key, "value", { ledgerId: rig.ledgerId, validUntil });
  };
  for (const index of organizations.keys()) {
    const disk = createMemoryDisk();
    await options.createDisk?.(rig, index, disk);
    const left = { store: createMemoryLedgerStore(), disk, journal: createMemoryDisk() };
    await start(index, left, Number.POSITIVE_INFINITY);
  }
  return {
    rig,
    hub,
    members: running,
    updates,
    setAt,
    crash,
    async restart(index, endAfter = Number.POSITIVE_INFINITY) {
      const before = running[index]!;
      crash(index);
      await before.engine.stop("now");
      await before.node.ledger.stop();
      const left = {
        store: await before.store.reopen(),
        disk: before.disk.crash(TORN_BYTES),
        journal: before.journal.crash(TORN_BYTES),
      };
      await start(index, left, endAfter);
      return running[index]!;
    },
    sign,
    async submit(index, key, timeoutMs = WAIT_MS) {
      const { ledger } = running[index]!.node;
      const note = sign(index, key);
      await ledger.submit(note.bytes);
      const status = await ledger.waitFor(note.id, "final", { timeoutMs });
      if (status.state !== "final" || status.outcome.code !== "ok") {
        throw new Error(`note ${key}: not final and ok`);
      }
      return note.id;
    },
    async stop() {
      for (const { index, life, engine, node } of running) {
        const stopped = engine.stop(life.dead ? "now" : "drain");
        await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, 2_000).unref())]);
        await node.ledger.stop();
        crash(index);
      }
    },
  };
}

export async function until(
  what: string,
  holds: () => boolean,
  timeoutMs = WAIT_MS,
): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
