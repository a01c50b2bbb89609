/**
 * Whole nodes under faults: the production ledger (admission, mempool, journal, spreading, execution,
 * state tree, receipts, memory store) over the production ordering engine, with real signatures. The
 * simulated application of ledger.ts is faster and stranger; this one is the real way of a transaction.
 */
import { resolveSender, seedIdentity, senderRows } from "@hanse/identity";
import {
  createLedger,
  createMemoryLedgerStore,
  createNativeCodec,
  type Ledger,
  type MemoryLedgerStore,
} from "@hanse/ledger";
import {
  createGovernanceModule,
  createGovernanceRule,
  createNativeEngine,
  createNotesModule,
  createRegistryModule,
  encodeNativeCall,
  seedGovernance,
  validatorSetAt,
} from "@hanse/modules";
import {
  createBuiltinEngine,
  createFixedPolicy,
  createSigningState,
  type LedgerApp,
  type OrderingEngine,
  openSigner,
} from "@hanse/ordering";
import {
  encodeReceipt,
  followLightBlock,
  genesisValidatorSet,
  type HanseError,
  type LightState,
  signMessage,
  toHex,
  trustGenesis,
  verifyReceipt,
  verifySignature,
} from "@hanse/protocol";
import {
  createRigGenesis,
  GENESIS_TIME,
  type RigGenesis,
  signNote,
  signPayload,
} from "../../packages/ledger/src/testing/ledger-rig.ts";
import { SimulatedDisk } from "./disk.ts";
import { type Endpoint, Network } from "./network.ts";
import { NodeTime } from "./node-time.ts";
import { Random } from "./random.ts";
import type { Channel, ValidatorId } from "./wiring.ts";
import { World } from "./world.ts";

export interface WholeResult {
  readonly failure: string | undefined;
  readonly heights: number;
  readonly transactions: number;
  readonly crashes: number;
  /** Changes of the validator set. */
  readonly changes: number;
  readonly digest: string;
}

const ORGANIZATIONS = ["north", "east", "south", "west"];
const LIVENESS_MS = 180_000;
const HOUR_MS = 3_600_000;

/** What all nodes must agree on, and what was told to be accepted. */
class Record {
  readonly hashes = new Map<number, string>();
  readonly roots = new Map<number, string>();
  /** Hashes of the sets that made blocks final. */
  readonly sets = new Set<string>();
  failure: string | undefined;
  crashes = 0;

  fail(message: string): void {
    this.failure ??= message;
  }

  agree(known: Map<number, string>, height: number, value: string, what: string): void {
    const before = known.get(height);
    if (before === undefined) known.set(height, value);
    else if (before !== value) this.fail(`two ${what} at height ${height}`);
  }
}

class WholeNode {
  readonly id: ValidatorId;
  readonly time: NodeTime;
  ledger: Ledger | undefined;
  engine: OrderingEngine | undefined;
  readonly #parts: WholeParts;
  readonly #place: number;
  readonly #log = new SimulatedDisk();
  readonly #journal = new SimulatedDisk();
  #store: MemoryLedgerStore = createMemoryLedgerStore();
  #life: { alive: boolean; left: number | undefined } | undefined;
  #endpoint: Endpoint | undefined;
  #isCreated = false;

  constructor(parts: WholeParts, place: number) {
    this.#parts = parts;
    this.#place = place;
    this.id = parts.rig.genesis.nodes[place]!.id;
    this.time = new NodeTime(parts.world, 0);
  }

  get up(): boolean {
    return this.#life?.alive === true;
  }

  crashAfter(operations: number): void {
    if (this.#life !== undefined) this.#life.left = operations;
  }

  keepRunning(): void {
    if (this.#life !== undefined) this.#life.left = undefined;
  }

  crash(): void {
    if (this.#life?.alive !== true) return;
    this.#life.alive = false;
    this.#parts.record.crashes++;
    this.#parts.network.leave(this.#endpoint!);
    this.#log.crash(this.#parts.random);
    this.#journal.crash(this.#parts.random);
    this.ledger = undefined;
    this.engine = undefined;
  }

  start(): void {
    if (this.up) return;
    const own = { alive: true, left: undefined as number | undefined };
    this.#life = own;
    this.#run(own).catch((error: unknown) => {
      if (own.alive) this.#parts.record.fail(`${this.id} did not start: ${String(error)}`);
    });
  }

  async #run(own: { alive: boolean; left: number | undefined }): Promise<void> {
    const { world, network, random, rig, record } = this.#parts;
    const node = this;
    const life = {
      get alive() {
        return own.alive;
      },
      operation(): boolean {
        if (!own.alive) return false;
        if (own.left !== undefined && --own.left <= 0) {
          node.crash();
          return false;
        }
        return true;
      },
    };
    const clock = {
      now: () => GENESIS_TIME + this.time.shown,
      setTimer: (ms: number, fire: () => void) =>
        this.time.timer(ms, () => {
          if (own.alive) fire();
        }),
    };
    const endpoint: Endpoint & {
      onMessage?: (from: ValidatorId, channel: Channel, bytes: Uint8Array) => void;
      onPeer?: (peer: ValidatorId, up: boolean) => void;
    } = {
      id: this.id,
      address: this.id,
      receive: (from, channel, bytes) => {
        if (!own.alive) return;
        if (channel === "transactions") {
          // A broken batch would end the link; nobody sends one here.
          this.ledger
            ?.incoming(bytes, from)
            .catch((error: unknown) => record.fail(`${this.id} refused a batch: ${String(error)}`));
          return;
        }
        endpoint.onMessage?.(from, channel, bytes);
      },
      peerChanged: (peer, isUp) => {
        if (!own.alive) return;
        endpoint.onPeer?.(peer, isUp);
        if (!isUp || this.ledger === undefined) return;
        for (const batch of this.ledger.pendingBatches()) {
          network.send(endpoint, peer, "transactions", batch);
        }
      },
    };
    this.#endpoint = endpoint;
    // What a process finds again is what was committed.
    const store = await this.#store.reopen();
    if (!own.alive) return;
    this.#store = store;
    const log = this.#log.open(this.time, random, life, 20);
    const ledger = await createLedger({
      genesis: rig.genesis,
      store,
      engines: [
        createNativeEngine([createRegistryModule(), createNotesModule(), createGovernanceModule()]),
      ],
      codecs: [createNativeCodec()],
      resolveSender,
      senderRows,
      seed(overlay) {
        seedIdentity(overlay, rig.genesis);
        seedGovernance(overlay, rig.genesis);
      },
      rule: createGovernanceRule(),
      validatorSetAt: (height) => validatorSetAt(store.state, height).set,
      verifyBatch: async (claims) =>
        claims.map(({ key, message, signature }) => verifySignature(key, message, signature)),
      clock,
      journal: this.#journal.open(this.time, random, life, 20),
      log: { debug() {}, info() {}, warn() {}, error() {} },
      onAlarm: (alarm) => {
        if (own.alive) record.fail(`${this.id} raised an alarm: ${JSON.stringify(alarm)}`);
      },
    });
    if (!own.alive) return;
    const pair = rig.nodeKeys[this.#place]!;
    const identity = { ledgerId: rig.ledgerId, publicKey: pair.publicKey };
    if (!this.#isCreated) {
      await createSigningState(log, identity);
      this.#isCreated = true;
    }
    if (!own.alive) return;
    const transport = network.transport(endpoint, life);
    const engine = createBuiltinEngine({
      ledgerId: rig.ledgerId,
      genesisSet: genesisValidatorSet(rig.genesis),
      genesisTime: GENESIS_TIME,
      app: this.#slowly(ledger, life),
      transport,
      disk: log,
      signer: openSigner({
        disk: log,
        id: this.id,
        ...identity,
        sign: (message) => signMessage(pair, message),
      }),
      clock,
      policy: createFixedPolicy(),
      blocks: ledger.reads,
      verify: async (checks) =>
        checks.map(({ key, message, signature }) => verifySignature(key, message, signature)),
      blockIntervalMsMin: 20,
      blockBytesMax: rig.genesis.params.blockBytesMax,
      tuning: { segmentBytes: 4096, heartbeatMs: 3_000, rangeTimeoutMs: 1_000 },
      report: (event) => {
        if (own.alive && event.t === "halted") {
          record.fail(`${this.id} halted: ${event.code} ${event.message}`);
        }
      },
    });
    ledger.onOutgoing((batch) => transport.broadcast("transactions", batch));
    ledger.onWork(() => engine.wake());
    this.ledger = ledger;
    this.engine = engine;
    network.join(endpoint);
    await engine.start();
    world.note(0x57a7);
  }

  /** The ledger with latency, so that a process may die between any two of its steps. */
  #slowly(ledger: Ledger, life: { operation(): boolean }): LedgerApp {
    const { random, record } = this.#parts;
    const later = <T>(msMax: number, make: () => Promise<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        if (!life.operation()) return;
        this.time.after(random.unit() * msMax, () => {
          if (!life.operation()) return;
          make().then((value) => {
            if (life.operation()) resolve(value);
          }, reject);
        });
      });
    return {
      info: () => ledger.info(),
      hasWork: () => ledger.hasWork(),
      prove: (proof) => ledger.prove(proof),
      buildBlock: (request) => later(4, () => ledger.buildBlock(request)),
      validateBlock: (block, hash) => later(4, () => ledger.validateBlock(block, hash)),
      finalizeBlock: (decided) =>
        later(5, async () => {
          const { height } = decided.block.header;
          record.agree(record.hashes, height, toHex(decided.hash), "blocks");
          record.sets.add(toHex(decided.block.header.validatorsHash));
          const result = await ledger.finalizeBlock(decided);
          record.agree(record.roots, height, toHex(result.stateRoot), "state roots");
          return result;
        }),
      commit: (height) => later(20, () => ledger.commit(height)),
    };
  }
}

interface WholeParts {
  readonly world: World;
  readonly network: Network;
  readonly random: Random;
  readonly rig: RigGenesis;
  readonly record: Record;
}

/** One seed: chaos, healing, and every transaction that a client was promised is final everywhere. */
export async function runWhole(seed: number, transactions = 24): Promise<WholeResult> {
  const random = new Random(seed * 7_919 + 3);
  const world = new World();
  const delayMsMax = random.pick([5, 40, 200]);
  const loss = random.pick([0, 0.05, 0.2]);
  const quality = { loss, proposalLoss: 0, duplication: 0.05, delayMsMin: 0.5, delayMsMax };
  const network = new Network(world, random.fork(), quality);
  const rig = await createRigGenesis({ organizations: ORGANIZATIONS });
  const record = new Record();
  const parts = { world, network, random, rig, record };
  const nodes = ORGANIZATIONS.map((_, place) => new WholeNode(parts, place));
  const chaosMs = random.between(3_000, 8_000);
  let isHealed = false;

  const notes = Array.from({ length: transactions }, (_, i) => {
    const person = random.pick(rig.people);
    return signNote(person.pair, `note ${i % 7}`, `value ${i}`, {
      ledgerId: rig.ledgerId,
      validUntil: GENESIS_TIME + HOUR_MS,
      nonce: BigInt(seed * 1_000 + i),
    });
  });
  // Governance changes the set meanwhile: one organization proposes, two more approve.
  const admins = rig.people.filter(({ name }) => name === "admin");
  const govern = (place: number, action: string, args: Parameters<typeof encodeNativeCall>[2]) => {
    const payload = encodeNativeCall("governance", action, args);
    const nonce = BigInt(seed * 1_000 + notes.length);
    const validUntil = GENESIS_TIME + HOUR_MS;
    const signed = { ledgerId: rig.ledgerId, validUntil, nonce };
    notes.push(signPayload(admins[place]!.pair, payload, signed));
  };
  for (const [i, propose] of [3, 2].entries()) {
    const members = [{ id: `${ORGANIZATIONS[3]}/node-1`, vote: 1, propose }];
    govern(0, "propose", { kind: "member.weights", content: JSON.stringify({ members }) });
    govern(1, "approve", { proposal: i + 1 });
    govern(2, "approve", { proposal: i + 1 });
  }
  const accepted = new Set<number>();
  /** A client: any node that takes the transaction is good; then it waits. */
  const submit = (i: number): void => {
    if (accepted.has(i)) return;
    const node = random.pick(nodes);
    node.ledger?.submit(notes[i]!.bytes).then(
      () => accepted.add(i),
      (error: unknown) => {
        // Anything else means "not now", or "known from another node": the client asks again.
        if ((error as HanseError).code === "LEDGER_TX_COMMITTED") accepted.add(i);
      },
    );
    world.after(random.between(400, 1_500), () => submit(i));
  };
  for (const i of notes.keys()) world.after(random.between(0, chaosMs), () => submit(i));
  for (const node of nodes) node.start();
  for (let n = random.between(2, 6); n > 0; n--) {
    world.after(random.between(200, chaosMs), () => {
      if (isHealed) return;
      const draw = random.unit();
      if (draw < 0.25) for (const node of nodes) node.crash();
      else if (draw < 0.8) random.pick(nodes).crashAfter(random.between(1, 80));
      else {
        const cut = random.pick(nodes).id;
        for (const { id } of nodes) network.cut(cut, id);
        world.after(random.between(300, 3_000), () => network.heal());
      }
    });
  }
  const revive = (): void => {
    for (const node of nodes) if (random.chance(0.5)) node.start();
    if (!isHealed) world.after(random.between(50, 900), revive);
  };
  revive();

  const failed = () => record.failure !== undefined;
  await world.run(chaosMs, failed);
  isHealed = true;
  network.heal();
  network.quality = { ...quality, loss: 0, duplication: 0, delayMsMax: 10 };
  for (const node of nodes) {
    node.keepRunning();
    node.start();
  }
  const newest = () => Math.max(0, ...record.hashes.keys());
  const settled = () =>
    accepted.size === notes.length &&
    nodes.every(({ ledger }) => ledger !== undefined && ledger.mempoolStats().count === 0) &&
    nodes.every(({ ledger }) => ledger!.tip.height === newest());
  await world.run(world.now + LIVENESS_MS, () => failed() || settled());
  const heights = newest();
  const done = (failure: string | undefined): WholeResult => ({
    failure,
    heights,
    transactions: accepted.size,
    crashes: record.crashes,
    changes: record.sets.size - 1,
    digest: world.digest,
  });
  if (failed()) return done(record.failure);
  if (!settled()) {
    const places = nodes.map(({ id, ledger }) => `${id}@${ledger?.tip.height ?? "-"}`).join(" ");
    return done(`not settled after the healing: ${accepted.size} accepted, ${places}`);
  }
  // The last outcome gets its block above, and every block is durable.
  await world.run(world.now + 5_000, failed);
  return done(record.failure ?? (await examine(rig, nodes, notes)));
}

/** What an outsider checks: outcomes, receipts, the newest header. */
async function examine(
  rig: RigGenesis,
  nodes: readonly WholeNode[],
  notes: readonly { readonly id: Uint8Array }[],
): Promise<string | undefined> {
  for (const [i, { id }] of notes.entries()) {
    for (const node of nodes) {
      const status = await node.ledger!.status(id);
      if (status.state !== "final") return `${node.id}: transaction ${i} is ${status.state}`;
    }
    if (i % 6 !== 0) continue;
    const receipt = await nodes[i % nodes.length]!.ledger!.receipt({ id });
    const verdict = verifyReceipt(encodeReceipt(receipt), { genesis: rig.genesis });
    if (!verdict.ok) return `the receipt of transaction ${i} does not hold: ${verdict.reason}`;
  }
  for (const node of nodes) {
    const page = await node.ledger!.lightPage({ from: 0, changes: true });
    let state: LightState = { trust: trustGenesis(rig.genesis) };
    for (const block of [...page.changes, page.newest]) {
      const verdict = followLightBlock(state, block);
      if (!verdict.ok) return `${node.id}: a light client refuses ${verdict.reason}`;
      state = verdict.state;
    }
  }
  return undefined;
}
