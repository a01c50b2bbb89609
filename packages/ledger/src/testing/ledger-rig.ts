/**
 * Ledgers in memory with real engines, real signatures and an orderer that makes every block final
 * at once: the pipeline without consensus. For tests and measurements.
 */
import { resolveSender, seedIdentity, senderRows } from "@hanse/identity";
import {
  createGovernanceModule,
  createGovernanceRule,
  createNativeEngine,
  createNotesModule,
  createPresenceModule,
  createRegistryModule,
  encodeNativeCall,
  seedGovernance,
  validatorSetAt,
} from "@hanse/modules";
import type { Clock, DecidedBlock } from "@hanse/ordering";
import {
  type Block,
  type Bytes,
  type Certificate,
  createKeyPair,
  DEFAULT_LEDGER_PARAMS,
  encodeNativeBody,
  encodeNativeTransaction,
  type GenesisDocument,
  genesisValidatorSet,
  type Hash,
  hashHeader,
  indicesToBitmap,
  type KeyPair,
  type LedgerParams,
  ledgerIdOf,
  nativeSignedMessage,
  nativeTransactionId,
  readyKeyBackends,
  sha256,
  signMessage,
  utf8,
  verifySignature,
  voteMessage,
} from "@hanse/protocol";
import {
  type BlockRule,
  type ContractEngine,
  createLedger,
  createMemoryLedgerStore,
  createNativeCodec,
  type Ledger,
  type LedgerAlarm,
  type LedgerOptions,
  type MemoryLedgerStore,
} from "../index.ts";
import { createMemoryDisk, type MemoryDisk } from "./memory-disk.ts";

export const GENESIS_TIME = 1_760_000_000_000;

export interface ManualClock extends Clock {
  /** Fires what is due, in order. */
  advance(ms: number): void;
}

export function createManualClock(start: number): ManualClock {
  let now = start;
  let timers: { at: number; fire: () => void }[] = [];
  return {
    now: () => now,
    setTimer(ms, fire) {
      const timer = { at: now + ms, fire };
      timers.push(timer);
      return {
        cancel() {
          timers = timers.filter((other) => other !== timer);
        },
      };
    },
    advance(ms) {
      const until = now + ms;
      for (;;) {
        const due = timers.filter((timer) => timer.at <= until).sort((a, b) => a.at - b.at)[0];
        if (due === undefined) break;
        timers = timers.filter((other) => other !== due);
        now = Math.max(now, due.at);
        due.fire();
      }
      now = until;
    },
  };
}

export interface Person {
  readonly name: string;
  readonly org: string;
  readonly pair: KeyPair;
}

export function keyOf(
  name: string,
  algorithm: KeyPair["publicKey"]["algorithm"] = "ed25519",
): KeyPair {
  return createKeyPair(algorithm, sha256(utf8(`test key of ${name}`)));
}

export const SILENT_LOG = { debug() {}, info() {}, warn() {}, error() {} };

export interface RigOptions {
  /** Organizations; each has an administrator `admin` and the people named here. */
  readonly organizations?: readonly string[];
  readonly people?: readonly string[];
  readonly params?: Partial<LedgerParams>;
  readonly limits?: LedgerOptions["limits"];
  readonly engines?: readonly ContractEngine[];
  readonly rule?: BlockRule;
}

export async function createRigGenesis(options: RigOptions = {}) {
  await readyKeyBackends();
  const organizations = options.organizations ?? ["harbour", "court"];
  const people: Person[] = [];
  for (const org of organizations) {
    for (const name of ["admin", ...(options.people ?? ["ada", "ben"])]) {
      people.push({ name, org, pair: keyOf(`${org}/${name}`) });
    }
  }
  const nodeKeys = organizations.map((org) => keyOf(`node of ${org}`));
  const genesis: GenesisDocument = {
    version: 1,
    network: "test",
    ledger: "main",
    time: GENESIS_TIME,
    organizations: organizations.map((id) => ({ id, name: `The ${id}` })),
    nodes: organizations.map((org, i) => ({
      id: `${org}/node-1`,
      org,
      key: nodeKeys[i]!.publicKey,
      tlsFingerprint: sha256(utf8(`tls of ${org}`)),
    })),
    accounts: people.map(({ name, org, pair }, i) => ({
      name,
      org,
      key: pair.publicKey,
      roles: name === "admin" ? (i === 0 ? ["admin", "network-admin"] : ["admin"]) : [],
    })),
    validators: {
      quorum: "byzantine",
      members: organizations.map((org) => ({ id: `${org}/node-1`, vote: 1, propose: 1 })),
    },
    ordering: "builtin",
    policy: "fixed",
    engines: ["native"],
    params: { ...DEFAULT_LEDGER_PARAMS, ...options.params },
  };
  return { genesis, ledgerId: ledgerIdOf(genesis), people, nodeKeys };
}

export type RigGenesis = Awaited<ReturnType<typeof createRigGenesis>>;

export interface RigNode {
  readonly ledger: Ledger;
  readonly store: MemoryLedgerStore;
  readonly disk: MemoryDisk;
  readonly clock: ManualClock;
  readonly alarms: LedgerAlarm[];
  /** Claims verified so far. */
  verified(): number;
}

export async function createRigNode(
  rig: RigGenesis,
  options: RigOptions & {
    readonly store?: MemoryLedgerStore;
    readonly disk?: MemoryDisk;
    readonly clock?: ManualClock;
    readonly unavailable?: LedgerOptions["unavailable"];
  } = {},
): Promise<RigNode> {
  const store = options.store ?? createMemoryLedgerStore();
  const disk = options.disk ?? createMemoryDisk();
  const clock = options.clock ?? createManualClock(GENESIS_TIME + 1_000);
  const alarms: LedgerAlarm[] = [];
  let verified = 0;
  const ledger = await createLedger({
    genesis: rig.genesis,
    store,
    engines: options.engines ?? [
      createNativeEngine([
        createRegistryModule(),
        createNotesModule(),
        createGovernanceModule(),
        createPresenceModule(),
      ]),
    ],
    codecs: [createNativeCodec()],
    resolveSender,
    senderRows,
    seed(overlay) {
      seedIdentity(overlay, rig.genesis);
      seedGovernance(overlay, rig.genesis);
    },
    validatorSetAt: (height) => validatorSetAt(store.state, height).set,
    async verifyBatch(claims) {
      verified += claims.length;
      await Promise.resolve();
      return claims.map((claim) => verifySignature(claim.key, claim.message, claim.signature));
    },
    clock,
    journal: disk,
    log: SILENT_LOG,
    onAlarm: (alarm) => alarms.push(alarm),
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    rule: options.rule ?? createGovernanceRule(),
    ...(options.unavailable === undefined ? {} : { unavailable: options.unavailable }),
  });
  return { ledger, store, disk, clock, alarms, verified: () => verified };
}

let nonce = 0n;

export interface SignOptions {
  readonly ledgerId: Hash;
  readonly validUntil?: number;
  readonly engine?: string;
  readonly nonce?: bigint;
}

/** A signed native transaction and its id. */
export function signPayload(
  pair: KeyPair,
  payload: Bytes,
  options: SignOptions,
): { readonly bytes: Bytes; readonly id: Hash } {
  nonce += 1n;
  const body = encodeNativeBody({
    ledgerId: options.ledgerId,
    sender: pair.publicKey,
    nonce: options.nonce ?? nonce,
    validUntil: options.validUntil ?? GENESIS_TIME + 120_000,
    engine: options.engine ?? "native",
    payload,
  });
  const signature = signMessage(pair, nativeSignedMessage(body));
  return { bytes: encodeNativeTransaction(body, signature), id: nativeTransactionId(body) };
}

export function signNote(
  pair: KeyPair,
  key: string,
  value: string,
  options: SignOptions,
): { readonly bytes: Bytes; readonly id: Hash } {
  return signPayload(pair, encodeNativeCall("notes", "put", { key, value: utf8(value) }), options);
}

/** Signs what the validators of the rig would, so that certificates and receipts hold. */
export function decide(rig: RigGenesis, block: Block): DecidedBlock {
  const { header } = block;
  const set = genesisValidatorSet(rig.genesis);
  const hash = hashHeader(header);
  const subject = {
    kind: "finalize",
    ledgerId: rig.ledgerId,
    engineEpoch: header.engineEpoch,
    height: header.height,
    view: 0,
    validatorsHash: set.hash,
    blockHash: hash,
  } as const;
  const message = voteMessage(subject);
  const certificate: Certificate = {
    kind: "finalize",
    engineEpoch: header.engineEpoch,
    height: header.height,
    view: 0,
    validatorsHash: set.hash,
    blockHash: hash,
    signers: indicesToBitmap(set.members.keys(), set.members.length),
    signatures: set.members.map((member) => {
      const index = rig.genesis.nodes.findIndex((node) => node.id === member.id);
      return signMessage(rig.nodeKeys[index]!, message);
    }),
  };
  return { block, hash, proof: { kind: "qc", header, certificate } };
}

/** The engine's part of a draft, for the proposer `organizations[proposer]`. */
export async function draft(
  rig: RigGenesis,
  node: RigNode,
  proposer = 0,
  evidence: readonly Bytes[] = [],
): Promise<Block> {
  const { tip } = node.ledger;
  const set = genesisValidatorSet(rig.genesis);
  const below = tip.height === 0 ? undefined : await node.store.block(tip.height);
  return node.ledger.buildBlock({
    height: tip.height + 1,
    view: 0,
    parent: { height: tip.height, hash: tip.hash, time: tip.time },
    lastCert: below?.certificate ?? new Uint8Array(0),
    evidence,
    proposer: set.members[proposer % set.members.length]!.id,
    set,
    nextSet: set,
    engineEpoch: 0,
    lastSetChangeHeight: 1,
    policyExtra: new Uint8Array(0),
    now: node.clock.now(),
  });
}

/** One block from the first node's pool through all nodes, validated by each and durable. */
export async function runBlock(rig: RigGenesis, nodes: readonly RigNode[]): Promise<DecidedBlock> {
  const proposer = nodes[0]!;
  const block = await draft(rig, proposer);
  const decided = decide(rig, block);
  for (const node of nodes) {
    node.clock.advance(Math.max(0, block.header.time - node.clock.now()));
    const verdict = await node.ledger.validateBlock(block, decided.hash);
    if (!verdict.ok) throw new Error(verdict.reason);
    await node.ledger.finalizeBlock(decided);
    await node.ledger.commit(block.header.height);
    node.clock.advance(rig.genesis.params.blockIntervalMsMin);
  }
  return decided;
}
