/**
 * Whole engines in one thread for unit tests: virtual time, links that may be cut, a ledger that
 * counts lines of text. What is random, or loses data, is the simulator's (test/simulation).
 */
import {
  type Block,
  type Bytes,
  certificateOf,
  createValidatorSet,
  encodeBlock,
  encodeCertificate,
  equalBytes,
  evidenceRoot,
  fromUtf8,
  type Hash,
  hashHeader,
  type PublicKey,
  type QuorumRule,
  sha256,
  toHex,
  transactionRoot,
  utf8,
  type ValidatorInfo,
  type ValidatorSet,
  ZERO_HASH,
} from "@hanse/protocol";
import { createBuiltinEngine } from "../driver/engine.ts";
import type { BuiltinEngineOptions, EngineEvent } from "../driver/runtime.ts";
import type {
  AppInfo,
  BuildRequest,
  Channel,
  Clock,
  DecidedBlock,
  ExecutionResult,
  LedgerApp,
  OrderingEngine,
  Transport,
} from "../engine/interfaces.ts";
import { createFixedPolicy } from "../policy/fixed.ts";
import { createSigningState, openSigner } from "../signer/signer.ts";
import { hashLastCert, type SignatureCheck } from "../wire/bodies.ts";
import { createMemoryDisk, type MemoryDisk } from "./memory-disk.ts";

/** Turns of the microtask queue after which nothing asynchronous is left over. */
const TURNS = 60;

async function settle(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) await Promise.resolve();
}

/** Signatures of the rig: a hash under the secret. */
export function rigSign(secret: Hash, message: Bytes): Bytes {
  const joined = new Uint8Array(secret.length + message.length);
  joined.set(secret);
  joined.set(message, secret.length);
  const half = sha256(joined);
  const signature = new Uint8Array(64);
  signature.set(half);
  signature.set(sha256(half), 32);
  return signature;
}

export interface RigBlock {
  readonly height: number;
  readonly hash: Hash;
  readonly bytes: Bytes;
  readonly certificate: Bytes;
  readonly block: Block;
  readonly stateRoot: Hash;
}

/** What an execution adds: set updates, a switch. */
export type RigRule = (block: Block) => Partial<ExecutionResult>;

export class RigLedger implements LedgerApp {
  readonly heights: RigBlock[] = [];
  readonly #pool = new Map<string, Bytes>();
  readonly #included = new Set<string>();
  readonly #executed = new Map<number, RigBlock>();
  readonly #rig: EngineRig;
  #stateRoot: Hash = ZERO_HASH;

  constructor(rig: EngineRig) {
    this.#rig = rig;
  }

  add(text: string): void {
    if (!this.#included.has(text)) this.#pool.set(text, utf8(text));
  }

  hasWork(): boolean {
    return this.#pool.size > 0;
  }

  async info(): Promise<AppInfo> {
    const last = this.heights.at(-1);
    return {
      height: last?.height ?? 0,
      stateRoot: last?.stateRoot ?? ZERO_HASH,
      resultsRoot: ZERO_HASH,
      blockHash: last?.hash ?? ZERO_HASH,
    };
  }

  async buildBlock(request: BuildRequest): Promise<Block> {
    const transactions = [...this.#pool.values()];
    return {
      header: {
        ledgerId: this.#rig.ledgerId,
        engineEpoch: request.engineEpoch,
        height: request.height,
        time: request.now,
        proposer: request.proposer,
        parentHash: request.parent.hash,
        txRoot: transactionRoot(transactions),
        txCount: transactions.length,
        lastCertHash: hashLastCert(request.lastCert),
        prevStateRoot: this.#stateRoot,
        prevResultsRoot: ZERO_HASH,
        validatorsHash: request.set.hash,
        nextValidatorsHash: request.nextSet.hash,
        paramsHash: ZERO_HASH,
        evidenceHash: evidenceRoot(request.evidence),
        lastSetChangeHeight: request.lastSetChangeHeight,
        policyExtra: request.policyExtra,
      },
      lastCert: request.lastCert,
      evidence: request.evidence,
      transactions,
    };
  }

  async validateBlock(block: Block): Promise<{ ok: true } | { ok: false; reason: string }> {
    const { prevStateRoot } = block.header;
    return equalBytes(prevStateRoot, this.#stateRoot)
      ? { ok: true }
      : { ok: false, reason: "root" };
  }

  async finalizeBlock(decided: DecidedBlock): Promise<ExecutionResult> {
    const { block, hash } = decided;
    const { height } = block.header;
    for (const bytes of block.transactions) {
      this.#included.add(fromUtf8(bytes));
      this.#pool.delete(fromUtf8(bytes));
    }
    if (block.transactions.length > 0) {
      const joined = new Uint8Array(64);
      joined.set(this.#stateRoot);
      joined.set(transactionRoot(block.transactions), 32);
      this.#stateRoot = sha256(joined);
    }
    const certificate = encodeCertificate(certificateOf(decided.proof));
    const stored = { height, hash, block, bytes: encodeBlock(block), certificate };
    this.#executed.set(height, { ...stored, stateRoot: this.#stateRoot });
    return {
      height,
      stateRoot: this.#stateRoot,
      resultsRoot: ZERO_HASH,
      paramsHash: ZERO_HASH,
      validatorUpdates: [],
      changed: block.transactions.length > 0,
      ...this.#rig.rule(block),
    };
  }

  async commit(height: number): Promise<void> {
    this.heights.push(this.#executed.get(height)!);
    this.#executed.delete(height);
  }

  async prove(): Promise<void> {
    throw new Error("each block comes with its proof");
  }

  /** What a database would hold after the process died. */
  reopened(): RigLedger {
    const again = new RigLedger(this.#rig);
    again.heights.push(...this.heights);
    again.#stateRoot = this.heights.at(-1)?.stateRoot ?? ZERO_HASH;
    for (const { block } of this.heights) {
      for (const bytes of block.transactions) again.#included.add(fromUtf8(bytes));
    }
    return again;
  }
}

export interface RigNode {
  readonly id: string;
  readonly secret: Hash;
  disk: MemoryDisk;
  ledger: RigLedger;
  engine: OrderingEngine;
  readonly events: EngineEvent[];
  up: boolean;
  /** Hands a message to the node as if it came over the link from a peer. */
  receive(from: string, message: Bytes, channel?: Channel): void;
  transport: Transport;
}

interface Timer {
  readonly at: number;
  readonly fire: () => void;
  live: boolean;
}

export class EngineRig {
  readonly ledgerId = sha256(utf8("rig"));
  readonly genesisTime = 1_700_000_000_000;
  readonly members: readonly ValidatorInfo[];
  readonly nodes: RigNode[] = [];
  rule: RigRule = () => ({});
  readonly #secrets = new Map<string, Hash>();
  readonly #cut = new Set<string>();
  #timers: Timer[] = [];
  now = this.genesisTime;

  constructor(members: number, spare = 0) {
    this.members = Array.from({ length: members + spare }, (_, i) => {
      const id = `org-${i}/node`;
      const key: PublicKey = { algorithm: "ed25519", bytes: sha256(utf8(`public ${id}`)) };
      this.#secrets.set(toHex(key.bytes), sha256(utf8(`secret ${id}`)));
      return { id, org: `org-${i}`, key, vote: 1, propose: 1 };
    });
    this.genesisSet = this.setOf(members);
  }

  readonly genesisSet: ValidatorSet;

  setOf(members: number, quorum: QuorumRule = "byzantine"): ValidatorSet {
    return createValidatorSet(this.members.slice(0, members), quorum);
  }

  /** Any of the members, by index. */
  setWith(indices: readonly number[], quorum: QuorumRule = "byzantine"): ValidatorSet {
    return createValidatorSet(
      indices.map((i) => this.members[i]!),
      quorum,
    );
  }

  secretOf(index: number): Hash {
    return this.#secrets.get(toHex(this.members[index]!.key.bytes))!;
  }

  readonly verify = async (checks: readonly SignatureCheck[]): Promise<boolean[]> =>
    checks.map(({ key, message, signature }) => {
      const secret = this.#secrets.get(toHex(key.bytes));
      return secret !== undefined && equalBytes(rigSign(secret, message), signature);
    });

  clock(skewMs = 0): Clock {
    return {
      now: () => this.now + skewMs,
      setTimer: (ms, fire) => {
        const timer: Timer = { at: this.now + Math.max(0, ms), fire, live: true };
        this.#timers.push(timer);
        return {
          cancel: () => {
            timer.live = false;
          },
        };
      },
    };
  }

  /** Lets virtual time pass; `until` ends it early. */
  async advance(ms: number, until: () => boolean = () => false): Promise<void> {
    const end = this.now + ms;
    await settle();
    for (;;) {
      if (until()) return;
      this.#timers = this.#timers.filter((timer) => timer.live);
      let next: Timer | undefined;
      for (const timer of this.#timers) {
        if (timer.at <= end && (next === undefined || timer.at < next.at)) next = timer;
      }
      if (next === undefined) break;
      this.now = Math.max(this.now, next.at);
      next.live = false;
      next.fire();
      await settle();
    }
    this.now = end;
  }

  cut(index: number): void {
    this.#cut.add(this.members[index]!.id);
  }

  mend(index: number): void {
    this.#cut.delete(this.members[index]!.id);
  }

  #reach(from: string, to: string): RigNode | undefined {
    if (this.#cut.has(from) || this.#cut.has(to)) return undefined;
    return this.nodes.find((node) => node.id === to && node.up);
  }

  /** Starts a node, again on its old disk if it ran before. */
  async start(index: number, over: Partial<BuiltinEngineOptions> = {}): Promise<RigNode> {
    const { id, key } = this.members[index]!;
    const secret = this.secretOf(index);
    const before = this.nodes.find((node) => node.id === id);
    if (before !== undefined) before.up = false;
    const disk = over.disk === undefined ? (before?.disk ?? createMemoryDisk()) : over.disk;
    const identity = { ledgerId: this.ledgerId, publicKey: key };
    if (before === undefined && !disk.exists("sign-state-a"))
      await createSigningState(disk, identity);
    const signer = openSigner({ disk, id, ...identity, sign: (m) => rigSign(secret, m) });
    const ledger = before?.ledger.reopened() ?? new RigLedger(this);
    const events: EngineEvent[] = [];
    let handler: (from: string, channel: Channel, message: Bytes) => void = () => {};
    const deliver = (to: string, channel: Channel, message: Bytes) => {
      const bytes = message.slice();
      this.clock().setTimer(1, () => this.#reach(id, to)?.receive(id, bytes, channel));
    };
    const transport: Transport = {
      self: id,
      send: deliver,
      broadcast: (channel, message) => {
        for (const { id: to } of this.members) if (to !== id) deliver(to, channel, message);
      },
      onMessage: (take) => {
        handler = take;
      },
      onPeer: () => {},
      peers: () => this.members.map((member) => member.id).filter((peer) => peer !== id),
    };
    const node: RigNode = {
      id,
      secret,
      disk: disk as MemoryDisk,
      ledger,
      events,
      up: true,
      transport,
      receive: (from, message, channel = "consensus") => handler(from, channel, message),
      engine: createBuiltinEngine({
        ledgerId: this.ledgerId,
        genesisSet: this.genesisSet,
        genesisTime: this.genesisTime,
        app: ledger,
        transport,
        disk,
        signer,
        clock: this.clock(),
        policy: createFixedPolicy(),
        blocks: {
          blocks: async (from, to) => ledger.heights.slice(from - 1, to),
        },
        verify: this.verify,
        blockIntervalMsMin: 20,
        blockBytesMax: 64 * 1024,
        tuning: { heartbeatMs: 1_000, rangeTimeoutMs: 500 },
        report: (event) => {
          if (node.up) events.push(event);
        },
        ...over,
      }),
    };
    if (before === undefined) this.nodes.push(node);
    else this.nodes[this.nodes.indexOf(before)] = node;
    await node.engine.start();
    return node;
  }

  async startAll(count: number, over: Partial<BuiltinEngineOptions> = {}): Promise<void> {
    for (let i = 0; i < count; i++) await this.start(i, over);
  }

  /** Hands a transaction to every node that runs. */
  submit(text: string): void {
    for (const node of this.nodes) {
      if (!node.up) continue;
      node.ledger.add(text);
      node.engine.wake();
    }
  }

  /** One height after the other, each with a transaction. */
  async decide(heights: number, name = "tx"): Promise<void> {
    for (let i = 0; i < heights; i++) {
      const target = this.height + 1;
      this.submit(`${name} ${target}`);
      await this.advance(20_000, () => this.height >= target);
    }
  }

  /** Highest height that a running node has committed. */
  get height(): number {
    return Math.max(...this.nodes.filter(({ up }) => up).map((n) => n.ledger.heights.length));
  }

  async stop(): Promise<void> {
    for (const node of this.nodes) if (node.up) await node.engine.stop("now");
  }

  hashOf(block: Block): Hash {
    return hashHeader(block.header);
  }
}
