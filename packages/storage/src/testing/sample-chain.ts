/** Blocks as the pipeline would hand them over, made from changes alone: for tests and benchmarks. */

import type { BlockCommit, DecodedTransaction } from "@hanse/ledger";
import { hashLastCert } from "@hanse/ordering";
import {
  assembleCertificate,
  type Block,
  createKeyPair,
  createValidatorSet,
  encodeCertificate,
  evidenceRoot,
  type Hash,
  hashHeader,
  indicesToBitmap,
  type KeyPair,
  type Outcome,
  outcomeRoot,
  sha256,
  signMessage,
  transactionRoot,
  utf8,
  type ValidatorSet,
  voteMessage,
  ZERO_HASH,
} from "@hanse/protocol";
import { createOverlay, type StateOverlay } from "@hanse/state";
import type { PostgresLedgerStore } from "../store/ledger-store.ts";

const key = { algorithm: "ed25519", bytes: new Uint8Array(32) } as const;
const set = createValidatorSet([{ id: "a/n", org: "a", key, vote: 1, propose: 1 }], "byzantine");

export const sampleLedgerId = (name: string): Hash => sha256(utf8(`sample ledger ${name}`));

export function sampleTransaction(
  ledgerId: Hash,
  bytes: Uint8Array,
  validUntil: number,
): DecodedTransaction {
  return {
    id: new Uint8Array(sha256(bytes)),
    form: 1,
    bytes,
    ledgerId,
    sender: new Uint8Array(sha256(bytes.subarray(0, 1))),
    senderKey: key,
    claims: [],
    validUntil,
    engine: "native",
    payload: bytes,
  };
}

const ok: Outcome = {
  code: "ok",
  result: "",
  error: "",
  fuelUsed: 7n,
  events: [{ name: "a.b", data: "{}" }],
};

export interface SampleBlock {
  readonly commit: BlockCommit;
  readonly transactions: readonly DecodedTransaction[];
  readonly root: Hash;
}

/**
 * Runs steps, each as one transaction, over the store's state; applies the block and gives what is
 * to be committed.
 */
export async function applyBlock(
  store: PostgresLedgerStore,
  height: number,
  steps: readonly ((state: StateOverlay) => void)[],
  at: { readonly ledgerId: Hash; readonly transactionBytes?: number; readonly validUntil?: number },
): Promise<SampleBlock> {
  const overlay = createOverlay(store.state, height);
  const transactions = steps.map((step, i) => {
    overlay.begin(i);
    step(overlay);
    const bytes = new Uint8Array(at.transactionBytes ?? 40);
    bytes.set(sha256(utf8(`${height}/${i}`)), 8);
    bytes[0] = i % 7;
    return sampleTransaction(at.ledgerId, bytes, at.validUntil ?? height * 1_000 + i);
  });
  const changes = overlay.changes();
  const root = await store.apply(height, changes);
  const bytes = transactions.map((transaction) => transaction.bytes);
  const block: Block = {
    header: {
      ledgerId: at.ledgerId,
      engineEpoch: 0,
      height,
      time: height * 1_000,
      proposer: "a/n",
      parentHash: ZERO_HASH,
      txRoot: transactionRoot(bytes),
      txCount: bytes.length,
      lastCertHash: ZERO_HASH,
      prevStateRoot: ZERO_HASH,
      prevResultsRoot: ZERO_HASH,
      validatorsHash: set.hash,
      nextValidatorsHash: set.hash,
      paramsHash: ZERO_HASH,
      evidenceHash: ZERO_HASH,
      lastSetChangeHeight: 1,
      policyExtra: new Uint8Array(0),
    },
    lastCert: new Uint8Array(0),
    evidence: [],
    transactions: bytes,
  };
  const hash = hashHeader(block.header);
  const outcomes = transactions.map(() => ok);
  return {
    root,
    transactions,
    commit: {
      decided: {
        block,
        hash,
        proof: {
          kind: "qc",
          header: block.header,
          certificate: {
            kind: "finalize",
            engineEpoch: 0,
            height,
            view: 0,
            validatorsHash: set.hash,
            blockHash: hash,
            signers: indicesToBitmap([0], 1),
            signatures: [new Uint8Array(64)],
          },
        },
      },
      executed: { block, hash, transactions, outcomes },
      result: {
        height,
        stateRoot: root,
        resultsRoot: sha256(utf8(`results ${height}`)),
        paramsHash: ZERO_HASH,
        validatorUpdates: [],
        changed: changes.length > 0,
      },
      changes,
      views: [],
    },
  };
}

/** Seeds height 0. */
export async function seedStore(
  store: PostgresLedgerStore,
  ledgerId: Hash,
  seed: (state: StateOverlay) => void,
): Promise<Hash> {
  const overlay = createOverlay(store.state, 0);
  overlay.begin(0);
  seed(overlay);
  const changes = overlay.changes();
  const stateRoot = await store.apply(0, changes);
  await store.commitGenesis({ ledgerId, genesis: utf8("genesis"), stateRoot, changes });
  return stateRoot;
}

/** One validator with a real key. */
export interface SampleValidator {
  readonly pair: KeyPair;
  readonly set: ValidatorSet;
}

/** Needs `readyKeyBackends` before. */
export function sampleValidator(): SampleValidator {
  const pair = createKeyPair("ed25519");
  const members = [{ id: "a/n", org: "a", key: pair.publicKey, vote: 1, propose: 1 }];
  return { pair, set: createValidatorSet(members, "byzantine") };
}

/** What the block above must link to. */
export interface SampleLink {
  readonly hash: Hash;
  readonly stateRoot: Hash;
  readonly resultsRoot: Hash;
  readonly certificate: Uint8Array;
}

/** The same block with a header that links to the one below, its roots and a real certificate. */
export function linkBlock(
  { commit }: SampleBlock,
  below: SampleLink,
  { pair, set: validators }: SampleValidator,
): { readonly commit: BlockCommit; readonly link: SampleLink } {
  const { block: loose } = commit.decided;
  const header = {
    ...loose.header,
    parentHash: below.hash,
    lastCertHash: hashLastCert(below.certificate),
    prevStateRoot: below.stateRoot,
    prevResultsRoot: below.resultsRoot,
    validatorsHash: validators.hash,
    nextValidatorsHash: validators.hash,
    evidenceHash: evidenceRoot([]),
  };
  const block = { ...loose, header, lastCert: below.certificate };
  const hash = hashHeader(header);
  const { ledgerId, height } = header;
  const subject = { kind: "finalize", ledgerId, engineEpoch: 0, height, view: 0 } as const;
  const vote = { ...subject, validatorsHash: validators.hash, blockHash: hash };
  const signature = signMessage(pair, voteMessage(vote));
  const certificate = assembleCertificate(vote, validators, [{ member: 0, signature }]);
  const resultsRoot = outcomeRoot(commit.executed.outcomes, []);
  return {
    commit: {
      ...commit,
      decided: { block, hash, proof: { kind: "qc", header, certificate } },
      executed: { ...commit.executed, block, hash },
      result: { ...commit.result, resultsRoot },
    },
    link: {
      hash,
      stateRoot: commit.result.stateRoot,
      resultsRoot,
      certificate: encodeCertificate(certificate),
    },
  };
}
