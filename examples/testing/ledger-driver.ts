/**
 * A ledger for tests of applications: real signatures, real pipeline, real engine, in memory unless
 * another store is given; one validator whose blocks are final at once.
 */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { encodePackageFiles, seedEcosystem } from "@hanse/ecosystem";
import { type CallValue, createNeedleEngine, encodeCall } from "@hanse/engine-needle";
import { resolveSender, seedIdentity, senderRows } from "@hanse/identity";
import {
  createLedger,
  createMemoryLedgerStore,
  createNativeCodec,
  type Ledger,
  type LedgerStore,
  type Outcome,
} from "@hanse/ledger";
import type { Block, Bytes, GenesisDocument, Hash, KeyPair } from "@hanse/protocol";
import {
  createKeyPair,
  DEFAULT_LEDGER_PARAMS,
  encodeNativeBody,
  encodeNativeTransaction,
  genesisValidatorSet,
  hashHeader,
  indicesToBitmap,
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

export interface Person {
  readonly name: string;
  readonly org: string;
  readonly roles: readonly string[];
}

export interface Driver {
  readonly ledger: Ledger;
  /** Seconds since 1970 of the newest block. */
  now(): number;
  /** Lets the clock run on, milliseconds. */
  advance(ms: number): void;
  /** Submits a call and makes a block with it. @throws HanseError when admission refuses it. */
  call(
    person: string,
    name: string,
    params?: Readonly<Record<string, CallValue>>,
  ): Promise<Outcome>;
  query(person: string | undefined, name: string, input?: unknown): unknown;
  stop(): Promise<void>;
}

const START = 1_760_000_000_000;
const NODE = "root/node-1";
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

/** Package of an application's folder. */
export function packFolder(folder: string): Bytes {
  const files = new Map<string, Bytes>();
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    const name = path.relative(folder, file).split(path.sep).join("/");
    files.set(name, new Uint8Array(readFileSync(file)));
  }
  return encodePackageFiles(files);
}

function keyOf(name: string): KeyPair {
  return createKeyPair("ed25519", sha256(utf8(`test key of ${name}`)));
}

/** Starts a ledger with these people; `root` of organization `root` administers the network. */
export async function startDriver(
  people: readonly Person[],
  openStore: (ledgerId: Hash) => Promise<LedgerStore> = async () => createMemoryLedgerStore(),
): Promise<Driver> {
  await readyKeyBackends();
  const everybody = [{ name: "root", org: "root", roles: ["admin", "network-admin"] }, ...people];
  const keys = new Map(everybody.map(({ name }) => [name, keyOf(name)]));
  const nodeKey = keyOf("node");
  const genesis: GenesisDocument = {
    version: 1,
    network: "test",
    ledger: "main",
    time: START,
    organizations: [...new Set(everybody.map(({ org }) => org))].map((id) => ({ id, name: id })),
    nodes: [{ id: NODE, org: "root", key: nodeKey.publicKey, tlsFingerprint: sha256(utf8("tls")) }],
    accounts: everybody.map(({ name, org, roles }) => ({
      name,
      org,
      key: keys.get(name)!.publicKey,
      roles,
    })),
    validators: { quorum: "byzantine", members: [{ id: NODE, vote: 1, propose: 1 }] },
    ordering: "builtin",
    policy: "fixed",
    engines: ["needle"],
    params: DEFAULT_LEDGER_PARAMS,
  };
  const ledgerId = ledgerIdOf(genesis);
  const set = genesisValidatorSet(genesis);
  const store = await openStore(ledgerId);
  let now = START + 1_000;
  let nonce = 0n;
  const journal = new Map<string, Uint8Array>();
  const ledger = await createLedger({
    genesis,
    store,
    engines: [createNeedleEngine()],
    codecs: [createNativeCodec()],
    resolveSender,
    senderRows,
    seed(overlay) {
      seedIdentity(overlay, genesis);
      seedEcosystem(overlay, genesis);
    },
    verifyBatch: async (claims) =>
      claims.map((claim) => verifySignature(claim.key, claim.message, claim.signature)),
    clock: { now: () => now, setTimer: () => ({ cancel() {} }) },
    journal: {
      exists: (name) => journal.has(name),
      read: (name) => journal.get(name),
      append(name, bytes) {
        journal.set(name, Buffer.concat([journal.get(name) ?? new Uint8Array(0), bytes]));
      },
      write: (name, bytes) => void journal.set(name, bytes.slice()),
      remove: (name) => void journal.delete(name),
      list: () => [...journal.keys()],
      sync: async () => {},
    },
    log: SILENT,
    onAlarm(alarm) {
      throw new Error(alarm.message);
    },
  });

  async function makeBlock(): Promise<void> {
    const { tip } = ledger;
    const below = tip.height === 0 ? undefined : await store.block(tip.height);
    const block: Block = await ledger.buildBlock({
      height: tip.height + 1,
      view: 0,
      parent: { height: tip.height, hash: tip.hash, time: tip.time },
      lastCert: below?.certificate ?? new Uint8Array(0),
      evidence: [],
      proposer: NODE,
      set,
      nextSet: set,
      engineEpoch: 0,
      lastSetChangeHeight: 1,
      policyExtra: new Uint8Array(0),
      now,
    });
    const hash = hashHeader(block.header);
    const { height, engineEpoch } = block.header;
    const subject = {
      kind: "finalize",
      ledgerId,
      engineEpoch,
      height,
      view: 0,
      validatorsHash: set.hash,
      blockHash: hash,
    } as const;
    const verdict = await ledger.validateBlock(block, hash);
    if (!verdict.ok) throw new Error(verdict.reason);
    const certificate = {
      ...subject,
      signers: indicesToBitmap([0], 1),
      signatures: [signMessage(nodeKey, voteMessage(subject))],
    };
    await ledger.finalizeBlock({
      block,
      hash,
      proof: { kind: "qc", header: block.header, certificate },
    });
    await ledger.commit(height);
    now += 100;
  }

  return {
    ledger,
    now: () => Math.floor(ledger.tip.time / 1000),
    advance(ms) {
      now += ms;
    },
    async call(person, name, params = {}) {
      const pair = keys.get(person)!;
      const body = encodeNativeBody({
        ledgerId,
        sender: pair.publicKey,
        nonce: ++nonce,
        validUntil: now + 60_000,
        engine: "needle",
        payload: encodeCall(name, params),
      });
      const bytes = encodeNativeTransaction(body, signMessage(pair, nativeSignedMessage(body)));
      await ledger.submit(bytes);
      await makeBlock();
      const status = await ledger.status(nativeTransactionId(body));
      if (status.state !== "final") throw new Error(`transaction is ${status.state}`);
      return status.outcome;
    },
    query(person, name, input = {}) {
      const caller =
        person === undefined ? undefined : resolveSender(store.state, keys.get(person)!.publicKey);
      return ledger.query("needle", name, input, caller);
    },
    stop: () => ledger.stop(),
  };
}
