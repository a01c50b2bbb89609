/**
 * A small ledger made by hand, the same bytes every time: five nodes, a set of four that changes
 * twice, eight certified blocks with transactions, outcomes and state. Vectors and tests are made
 * from it; it uses the product's encodings and nothing else of it.
 */
import {
  assembleCertificate,
  type BlockHeader,
  type Bytes,
  createKeyPair,
  createValidatorSet,
  DEFAULT_LEDGER_PARAMS,
  encodeKvValue,
  encodeNativeBody,
  encodeNativeTransaction,
  encodeRowValue,
  encodeSchemaValue,
  encodeSequenceValue,
  evidenceRoot,
  type GenesisDocument,
  genesisValidatorSet,
  type Hash,
  hashCertificate,
  hashHeader,
  hashLeaf,
  hashLedgerParams,
  hashStateLeaf,
  hashStateNode,
  type KeyPair,
  ledgerIdOf,
  merklePath,
  nativeSignedMessage,
  type Outcome,
  outcomeLeaves,
  outcomeRoot,
  type QcProof,
  type Receipt,
  type ReceiptTransaction,
  type SignedVote,
  type StateFact,
  type StateKey,
  type StateProof,
  type StateSchema,
  sha256,
  signMessage,
  stateFactOf,
  stateKeyHash,
  stateValueHash,
  toHex,
  transactionRoot,
  utf8,
  type ValidatorSet,
  type VoteSubject,
  voteMessage,
  ZERO_HASH,
} from "../src/index.ts";

/** A key pair from a name. */
export function namedKeyPair(
  name: string,
  algorithm: "ed25519" | "p256" | "secp256k1" = "ed25519",
) {
  return createKeyPair(algorithm, sha256(utf8(`sample key ${name}`)));
}

export interface SampleLeaf {
  readonly key: StateKey;
  readonly value: Bytes;
}

interface TreeLeaf {
  readonly keyHash: Hash;
  readonly valueHash: Hash;
}

function bitAt(hash: Hash, level: number): number {
  return (hash[level >> 3]! >> (7 - (level & 7))) & 1;
}

function subtreeRoot(leaves: readonly TreeLeaf[], level: number): Hash {
  if (leaves.length === 0) return ZERO_HASH;
  if (leaves.length === 1) return hashStateLeaf(leaves[0]!.keyHash, leaves[0]!.valueHash);
  const side = (bit: number) => leaves.filter((leaf) => bitAt(leaf.keyHash, level) === bit);
  return hashStateNode(subtreeRoot(side(0), level + 1), subtreeRoot(side(1), level + 1));
}

function toTreeLeaves(leaves: readonly SampleLeaf[]): TreeLeaf[] {
  return leaves.map(({ key, value }) => ({
    keyHash: stateKeyHash(key),
    valueHash: stateValueHash(value),
  }));
}

/** Root of the state tree by its recursive definition (spec/state.md). */
export function sampleStateRoot(leaves: readonly SampleLeaf[]): Hash {
  return subtreeRoot(toTreeLeaves(leaves), 0);
}

/** Proof of membership or absence by the recursive definition. */
export function proveSampleState(leaves: readonly SampleLeaf[], key: StateKey): StateProof {
  const keyHash = stateKeyHash(key);
  const siblings: Hash[] = [];
  let under = toTreeLeaves(leaves);
  for (let level = 0; under.length > 1; level++) {
    const bit = bitAt(keyHash, level);
    siblings.unshift(
      subtreeRoot(
        under.filter((leaf) => bitAt(leaf.keyHash, level) !== bit),
        level + 1,
      ),
    );
    under = under.filter((leaf) => bitAt(leaf.keyHash, level) === bit);
  }
  return { keyHash, leaf: under[0], siblings };
}

const NODES = [
  "harbour/node-1",
  "notary/node-1",
  "court/node-1",
  "archive/node-1",
  "bailiff/node-1",
];
const nodeKeys = new Map<string, KeyPair>();

function nodeKey(id: string): KeyPair {
  let pair = nodeKeys.get(id);
  if (pair === undefined) {
    pair = namedKeyPair(id);
    nodeKeys.set(id, pair);
  }
  return pair;
}

function orgOf(node: string): string {
  return node.split("/")[0]!;
}

export function createSampleGenesis(network = "sample"): GenesisDocument {
  return {
    version: 1,
    network,
    ledger: "main",
    time: 1_700_000_000_000,
    organizations: NODES.map((id) => ({ id: orgOf(id), name: `The ${orgOf(id)}` })),
    nodes: NODES.map((id) => ({
      id,
      org: orgOf(id),
      key: nodeKey(id).publicKey,
      tlsFingerprint: sha256(utf8(`tls ${id}`)),
    })),
    accounts: [
      {
        name: "anna",
        org: "harbour",
        key: namedKeyPair("anna").publicKey,
        roles: ["lawyer", "admin"],
      },
      { name: "bert", org: "bailiff", key: namedKeyPair("bert", "p256").publicKey, roles: [] },
    ],
    validators: {
      quorum: "byzantine",
      members: NODES.slice(0, 4).map((id) => ({ id, vote: 1, propose: 1 })),
    },
    ordering: "builtin",
    policy: "fixed",
    engines: ["native", "needle"],
    params: DEFAULT_LEDGER_PARAMS,
  };
}

function setOf(nodes: readonly string[]): ValidatorSet {
  return createValidatorSet(
    nodes.map((id) => ({ id, org: orgOf(id), key: nodeKey(id).publicKey, vote: 1, propose: 1 })),
    "byzantine",
  );
}

/** A certificate by the named members, by all when none are named. */
export function certify(
  subject: VoteSubject,
  set: ValidatorSet,
  members: readonly number[] = set.members.map((_, i) => i),
) {
  const votes: SignedVote[] = members.map((member) => ({
    member,
    signature: signMessage(nodeKey(set.members[member]!.id), voteMessage(subject)),
  }));
  return assembleCertificate(subject, set, votes);
}

export const SAMPLE_DOCUMENT = utf8("Deed of sale of the house by the lock, 14 November 2023.\n");
export const SAMPLE_SCHEMA: StateSchema = {
  columns: [
    { name: "id", type: "int" },
    { name: "title", type: "text" },
    { name: "digest", type: "bytes" },
    { name: "sealed", type: "bool" },
    { name: "fee", type: "money" },
    { name: "parties", type: "json" },
    { name: "filed", type: "time" },
    { name: "score", type: "float" },
    { name: "note", type: "text" },
  ],
  indexes: ["title"],
};

export interface SampleBlock extends QcProof {
  readonly hash: Hash;
  readonly set: ValidatorSet;
  readonly transactions: readonly Bytes[];
  readonly outcomes: readonly Outcome[];
  /** State after this block. */
  readonly state: readonly SampleLeaf[];
}

export interface SampleLedger {
  readonly genesis: GenesisDocument;
  readonly ledgerId: Hash;
  /** sets[0] from height 1, sets[1] from 3, sets[2] from 5. */
  readonly sets: readonly ValidatorSet[];
  readonly setAt: (height: number) => ValidatorSet;
  /** blocks[0] is height 1. */
  readonly blocks: readonly SampleBlock[];
}

function stateAfter(height: number): SampleLeaf[] {
  const table = "1_deeds";
  const leaves: SampleLeaf[] = [
    { key: { kind: "schema", table }, value: encodeSchemaValue(SAMPLE_SCHEMA) },
    { key: { kind: "sequence", table }, value: encodeSequenceValue(BigInt(height) + 1n) },
    {
      key: { kind: "kv", namespace: "notes", key: utf8("last") },
      value: encodeKvValue({ value: utf8(`height ${height}`), version: { height, index: 0 } }),
    },
  ];
  for (let id = 1; id <= height; id++) {
    leaves.push({
      key: { kind: "row", table, key: BigInt(id) },
      value: encodeRowValue({
        height: id,
        values: [
          BigInt(id),
          `Deed ${id}`,
          sha256(SAMPLE_DOCUMENT),
          id % 2 === 0,
          `${id}.5`,
          '{"buyer":"anna"}',
          1_700_000_000_000n,
          id / 3,
          null,
        ],
      }),
    });
  }
  return leaves;
}

/** The ledger up to height 8. */
export function createSampleLedger(network?: string): SampleLedger {
  const genesis = createSampleGenesis(network);
  const ledgerId = ledgerIdOf(genesis);
  const sets = [
    genesisValidatorSet(genesis),
    setOf([NODES[0]!, NODES[1]!, NODES[2]!, NODES[4]!]),
    setOf([NODES[1]!, NODES[2]!, NODES[3]!, NODES[4]!]),
  ];
  const firstHeights = [1, 3, 5];
  const setIndexAt = (height: number) => firstHeights.findLastIndex((first) => first <= height);
  const setAt = (height: number) => sets[setIndexAt(height)]!;
  const anna = namedKeyPair("anna");
  const blocks: SampleBlock[] = [];
  for (let height = 1; height <= 8; height++) {
    const below = blocks.at(-1);
    const set = setAt(height);
    const bodies = Array.from({ length: height % 4 }, (_, i) =>
      encodeNativeBody({
        ledgerId,
        sender: anna.publicKey,
        nonce: BigInt(height * 100 + i),
        validUntil: genesis.time + 60_000,
        engine: "needle",
        payload: utf8(
          JSON.stringify({ contract: "File", digest: toHex(sha256(SAMPLE_DOCUMENT)), i }),
        ),
      }),
    );
    const transactions = bodies.map((body) =>
      encodeNativeTransaction(body, signMessage(anna, nativeSignedMessage(body))),
    );
    const outcomes = bodies.map(
      (_, i): Outcome =>
        i === 1
          ? { code: "CONTRACT_ERROR", result: "", error: "no", fuelUsed: 7n, events: [] }
          : {
              code: "ok",
              result: String(height),
              error: "",
              fuelUsed: 1234n,
              events: [{ name: "deeds.filed", data: `{"id":${height}}` }],
            },
    );
    const header: BlockHeader = {
      ledgerId,
      engineEpoch: 0,
      height,
      time: genesis.time + height * 1000,
      proposer: set.members[height % 4]!.id,
      parentHash: below?.hash ?? ledgerId,
      txRoot: transactionRoot(transactions),
      txCount: transactions.length,
      lastCertHash: below === undefined ? ZERO_HASH : hashCertificate(below.certificate),
      prevStateRoot: below === undefined ? ZERO_HASH : sampleStateRoot(below.state),
      prevResultsRoot: outcomeRoot(below?.outcomes ?? []),
      validatorsHash: set.hash,
      nextValidatorsHash: setAt(height + 1).hash,
      paramsHash: hashLedgerParams(genesis.params),
      evidenceHash: evidenceRoot([]),
      lastSetChangeHeight: firstHeights[setIndexAt(height)]!,
      policyExtra: new Uint8Array(),
    };
    const hash = hashHeader(header);
    const certificate = certify(
      {
        kind: "finalize",
        ledgerId,
        engineEpoch: 0,
        height,
        view: height % 3,
        validatorsHash: set.hash,
        blockHash: hash,
      },
      set,
      // Three of four, another one missing each time, and all four once.
      [0, 1, 2, 3].filter((member) => height === 5 || member !== height % 4),
    );
    blocks.push({
      kind: "qc",
      header,
      certificate,
      hash,
      set,
      transactions,
      outcomes,
      state: stateAfter(height),
    });
  }
  return { genesis, ledgerId, sets, setAt, blocks };
}

/** A transaction of the ledger as a receipt proves it. */
export function proveSampleTransaction(
  { blocks }: SampleLedger,
  height: number,
  index: number,
): ReceiptTransaction {
  const { transactions, outcomes } = blocks[height - 1]!;
  return {
    bytes: transactions[index]!,
    height,
    index,
    path: merklePath(transactions.map(hashLeaf), index),
    outcome: outcomes[index]!,
    outcomePath: merklePath(outcomeLeaves(outcomes), index),
    views: [],
  };
}

export function proveSampleFact(ledger: SampleLedger, height: number, key: StateKey): StateFact {
  const { state } = ledger.blocks[height - 1]!;
  const name = toHex(stateKeyHash(key));
  const value = state.find((leaf) => toHex(stateKeyHash(leaf.key)) === name)?.value;
  return stateFactOf(height, key, value, proveSampleState(state, key));
}

/** Certified headers of the heights given and of the last blocks before each change of the set. */
export function sampleHeaders(
  ledger: SampleLedger,
  heights: readonly number[],
  from = 1,
): QcProof[] {
  const last = Math.max(...heights);
  const handovers = [2, 4].filter((height) => height >= from && height < last);
  return [...new Set([...handovers, ...heights])]
    .sort((a, b) => a - b)
    .map((height) => {
      const { header, certificate } = ledger.blocks[height - 1]!;
      return { kind: "qc", header, certificate };
    });
}

/** A receipt of a transaction at height 3 and of the state after 6, through two changes of set. */
export function createSampleReceipt(
  ledger: SampleLedger = createSampleLedger(),
): Omit<Receipt, "blocks"> & { readonly blocks: readonly QcProof[] } {
  const table = "1_deeds";
  return {
    ledgerId: ledger.ledgerId,
    sets: ledger.sets,
    blocks: sampleHeaders(ledger, [3, 4, 7]),
    transaction: proveSampleTransaction(ledger, 3, 2),
    facts: [
      proveSampleFact(ledger, 6, { kind: "schema", table }),
      proveSampleFact(ledger, 6, { kind: "row", table, key: 3n }),
      proveSampleFact(ledger, 6, { kind: "row", table, key: 99n }),
      proveSampleFact(ledger, 6, { kind: "kv", namespace: "notes", key: utf8("last") }),
      proveSampleFact(ledger, 6, { kind: "sequence", table }),
    ],
    documents: [sha256(SAMPLE_DOCUMENT)],
  };
}
