/**
 * The language-neutral vectors of `vectors/*.json`, computed afresh. `make-vectors.ts` writes them;
 * a test compares them with the files, so that no encoding changes unnoticed.
 */
import {
  accountIdOf,
  type Bytes,
  type CborValue,
  DOMAINS,
  encodeBlock,
  encodeCbor,
  encodeCertificate,
  encodeGenesis,
  encodeHeader,
  encodeNativeBody,
  encodeNativeTransaction,
  encodeOutcome,
  encodeReceipt,
  encodeRowValue,
  encodeSchemaValue,
  encodeStateKey,
  genesisToJson,
  hashCertificate,
  hashHeader,
  hashLeaf,
  hashLedgerParams,
  hashOutcome,
  hashWithDomain,
  type KeyAlgorithm,
  merklePath,
  merkleRoot,
  nativeSignedMessage,
  nativeTransactionId,
  type Outcome,
  outcomeRoot,
  quorumWeight,
  stateKeyHash,
  stateValueHash,
  toHex,
  transactionRoot,
  trustedSetToJson,
  utf8,
  type VoteSubject,
  validatorSetToCbor,
  voteMessage,
} from "../src/index.ts";
import { signatureBackends } from "../src/keys/backend-portable.ts";
import { createSignatures } from "../src/keys/signatures.ts";
import { forkVectors, lightVectors, mixedReceipt } from "./light-vectors.ts";
import {
  createSampleLedger,
  createSampleReceipt,
  namedKeyPair,
  proveSampleState,
  SAMPLE_DOCUMENT,
  SAMPLE_SCHEMA,
  sampleStateRoot,
} from "./sample-ledger.ts";

/** A CBOR value in JSON: `{"int": "-5"}`, `{"text": …}`, `{"bytes": hex}`, `{"map": [[key, value]]}`. */
function describe(value: CborValue): unknown {
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "number" || typeof value === "bigint") return { int: String(value) };
  if (typeof value === "string") return { text: value };
  if (value instanceof Uint8Array) return { bytes: toHex(value) };
  if (Array.isArray(value)) return { array: value.map(describe) };
  const entries = [...(value as ReadonlyMap<string, CborValue>)];
  return { map: entries.map(([key, item]) => [key, describe(item)]) };
}

const CBOR_VALUES: readonly CborValue[] = [
  0,
  23,
  24,
  255,
  256,
  65_535,
  65_536,
  4_294_967_295,
  4_294_967_296,
  9_007_199_254_740_991,
  9_007_199_254_740_992n,
  18_446_744_073_709_551_615n,
  -1,
  -24,
  -25,
  -9_007_199_254_740_992n,
  -18_446_744_073_709_551_616n,
  false,
  true,
  null,
  "",
  "a",
  "Grüße, 记录 🏛",
  "x".repeat(300),
  new Uint8Array(),
  Uint8Array.of(0, 255),
  new Uint8Array(256).fill(7),
  [],
  [1, [2, [3, []]]],
  Array.from({ length: 30 }, (_, i) => i),
  new Map<string, CborValue>(),
  new Map<string, CborValue>([
    ["bb", 1],
    ["a", [true, null]],
    ["aaa", new Map<string, CborValue>([["é", "ü"]])],
    ["b", -1],
  ]),
];

const CBOR_REFUSED: readonly (readonly [hex: string, code: string, why: string])[] = [
  ["", "CBOR_TRUNCATED", "no value"],
  ["1817", "CBOR_NOT_SHORTEST", "23 in two bytes"],
  ["1900ff", "CBOR_NOT_SHORTEST", "255 in three bytes"],
  ["1a0000ffff", "CBOR_NOT_SHORTEST", "65535 in five bytes"],
  ["1b00000000ffffffff", "CBOR_NOT_SHORTEST", "4294967295 in nine bytes"],
  ["5800", "CBOR_NOT_SHORTEST", "length 0 in two bytes"],
  ["6261", "CBOR_TRUNCATED", "text cut short"],
  ["9affffffff", "CBOR_TRUNCATED", "more items than bytes"],
  ["0000", "CBOR_TRAILING", "a second value"],
  ["5f4100ff", "CBOR_UNSUPPORTED", "bytes of indefinite length"],
  ["9fff", "CBOR_UNSUPPORTED", "array of indefinite length"],
  ["c000", "CBOR_UNSUPPORTED", "tag"],
  ["f7", "CBOR_UNSUPPORTED", "undefined"],
  ["f93c00", "CBOR_UNSUPPORTED", "half-precision float"],
  ["fb3ff0000000000000", "CBOR_UNSUPPORTED", "double"],
  ["a10000", "CBOR_MAP_KEY", "integer as a map key"],
  ["a2616200616100", "CBOR_MAP_ORDER", "keys out of order"],
  ["a262616100616200", "CBOR_MAP_ORDER", "longer key before the shorter one"],
  ["a2616100616100", "CBOR_MAP_ORDER", "key repeated"],
  ["61ff", "ENCODING_UTF8", "byte that is not UTF-8"],
  ["63eda080", "ENCODING_UTF8", "surrogate in UTF-8"],
  [`${"81".repeat(65)}00`, "CBOR_TOO_DEEP", "65 levels"],
];

function cborVectors() {
  return {
    encoded: CBOR_VALUES.map((value) => ({
      value: describe(value),
      hex: toHex(encodeCbor(value)),
    })),
    refused: CBOR_REFUSED.map(([hex, code, why]) => ({ hex, code, why })),
  };
}

function hashVectors() {
  const messages = [new Uint8Array(), utf8("hanse")];
  return Object.values(DOMAINS).flatMap((domain) =>
    messages.map((message) => ({
      domain,
      message: toHex(message),
      hash: toHex(hashWithDomain(domain, message)),
    })),
  );
}

function keyVectors() {
  // RFC 6979 and RFC 8032 make these the same on every run; other libraries may sign otherwise.
  const { signMessage } = createSignatures(signatureBackends);
  const message = utf8("a message to sign");
  return (["ed25519", "p256", "secp256k1"] as const).map((algorithm: KeyAlgorithm) => {
    const pair = namedKeyPair("vector", algorithm);
    return {
      algorithm,
      secretKey: toHex(pair.secretKey),
      publicKey: toHex(pair.publicKey.bytes),
      accountId: toHex(accountIdOf(pair.publicKey)),
      message: toHex(message),
      signature: toHex(signMessage(pair, message)),
    };
  });
}

function transactionVectors() {
  const { signMessage } = createSignatures(signatureBackends);
  return (["ed25519", "p256", "secp256k1"] as const).map((algorithm, i) => {
    const sender = namedKeyPair("sender", algorithm);
    const fields = {
      ledgerId: new Uint8Array(32).fill(0xa0 + i),
      sender: sender.publicKey,
      nonce: 2n ** 64n - 1n - BigInt(i),
      validUntil: 1_700_000_060_000 + i,
      engine: "needle",
      payload: utf8(`payload ${i}`),
    };
    const body = encodeNativeBody(fields);
    const signature = signMessage(sender, nativeSignedMessage(body));
    return {
      ledgerId: toHex(fields.ledgerId),
      sender: { algorithm, publicKey: toHex(sender.publicKey.bytes) },
      nonce: String(fields.nonce),
      validUntil: fields.validUntil,
      engine: fields.engine,
      payload: toHex(fields.payload),
      body: toHex(body),
      id: toHex(nativeTransactionId(body)),
      signedMessage: toHex(nativeSignedMessage(body)),
      signature: toHex(signature),
      transaction: toHex(encodeNativeTransaction(body, signature)),
    };
  });
}

function outcomeVectors() {
  const outcomes: readonly Outcome[] = [
    { code: "ok", result: "7", error: "", fuelUsed: 1234n, events: [] },
    {
      code: "ok",
      result: "",
      error: "",
      fuelUsed: 18_446_744_073_709_551_615n,
      events: [
        { name: "deeds.filed", data: '{"id":1}' },
        { name: "deeds.served", data: "null" },
      ],
    },
    { code: "CONTRACT_ERROR", result: "", error: "File, 3:7: no", fuelUsed: 0n, events: [] },
  ];
  const views = [{ engine: "evm", hash: new Uint8Array(32).fill(9) }];
  return {
    outcomes: outcomes.map((outcome) => ({
      ...outcome,
      fuelUsed: String(outcome.fuelUsed),
      encoded: toHex(encodeOutcome(outcome)),
      leaf: toHex(hashOutcome(outcome)),
    })),
    root: toHex(outcomeRoot(outcomes)),
    rootOfNone: toHex(outcomeRoot([])),
    views: views.map((view) => ({ engine: view.engine, hash: toHex(view.hash) })),
    rootWithViews: toHex(outcomeRoot(outcomes, views)),
  };
}

function treeVectors() {
  return [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17].map((size) => {
    const entries = Array.from({ length: size }, (_, i) => utf8(`entry ${i}`));
    const leaves = entries.map(hashLeaf);
    return {
      entries: entries.map(toHex),
      root: toHex(merkleRoot(leaves)),
      paths: leaves.map((_, i) => merklePath(leaves, i).map(toHex)),
    };
  });
}

function blockVectors() {
  const ledger = createSampleLedger();
  const { header, certificate, hash, set, transactions } = ledger.blocks[2]!;
  const { kind: _, ...place } = certificate;
  const base = { ledgerId: ledger.ledgerId, ...place } as const;
  const { blockHash: __, ...blockless } = base;
  const subjects: readonly VoteSubject[] = [
    { ...base, kind: "finalize" },
    { ...base, kind: "notarize", parentView: -1 },
    { ...base, kind: "notarize", parentView: 4 },
    { ...blockless, kind: "nullify" },
  ];
  const hexOf = (value: object) =>
    Object.fromEntries(
      Object.entries(value).map(([name, item]) => [
        name,
        item instanceof Uint8Array ? toHex(item) : item,
      ]),
    );
  return {
    header: {
      fields: hexOf(header),
      encoded: toHex(encodeHeader(header)),
      hash: toHex(hash),
    },
    validatorSet: {
      quorum: set.quorum,
      members: set.members.map(({ key, ...member }) => ({
        ...member,
        key: { algorithm: key.algorithm, publicKey: toHex(key.bytes) },
      })),
      encoded: toHex(encodeCbor(validatorSetToCbor(set))),
      hash: toHex(set.hash),
      quorumWeight: quorumWeight(set),
    },
    votes: subjects.map((subject) => ({
      kind: subject.kind,
      parentView: subject.parentView ?? null,
      message: toHex(voteMessage(subject)),
    })),
    certificate: {
      fields: { ...hexOf(certificate), signatures: certificate.signatures.map(toHex) },
      encoded: toHex(encodeCertificate(certificate)),
      hash: toHex(hashCertificate(certificate)),
    },
    block: {
      transactionRoot: toHex(transactionRoot(transactions)),
      encoded: toHex(
        encodeBlock({
          header,
          lastCert: encodeCertificate(ledger.blocks[1]!.certificate),
          evidence: [],
          transactions,
        }),
      ),
      hash: toHex(hashHeader(header)),
    },
  };
}

function stateVectors() {
  const { state } = createSampleLedger().blocks[5]!;
  const proofOf = (key: Parameters<typeof stateKeyHash>[0]) => {
    const proof = proveSampleState(state, key);
    return {
      key: toHex(encodeStateKey(key)),
      keyHash: toHex(proof.keyHash),
      leaf:
        proof.leaf === undefined
          ? null
          : { keyHash: toHex(proof.leaf.keyHash), valueHash: toHex(proof.leaf.valueHash) },
      siblings: proof.siblings.map(toHex),
    };
  };
  const cells = [
    -(2n ** 63n),
    "text",
    Uint8Array.of(1, 2),
    true,
    "-12.5",
    '{"a":[1]}',
    1_700_000_000_000n,
    -0.1,
    null,
  ];
  return {
    schema: {
      columns: SAMPLE_SCHEMA.columns,
      indexes: SAMPLE_SCHEMA.indexes,
      encoded: toHex(encodeSchemaValue(SAMPLE_SCHEMA)),
    },
    row: {
      height: 77,
      values: cells.map((cell) =>
        cell instanceof Uint8Array ? toHex(cell) : typeof cell === "bigint" ? String(cell) : cell,
      ),
      encoded: toHex(encodeRowValue({ height: 77, values: cells })),
      valueHash: toHex(stateValueHash(encodeRowValue({ height: 77, values: cells }))),
    },
    keys: [
      { kind: "row", table: "1_deeds", key: -5n } as const,
      { kind: "row", table: "1_deeds", key: "five" } as const,
      { kind: "row", table: "1_deeds", key: Uint8Array.of(5) } as const,
      { kind: "kv", namespace: "notes", key: new Uint8Array() } as const,
      { kind: "schema", table: "1_deeds" } as const,
      { kind: "sequence", table: "1_deeds" } as const,
    ].map((key) => ({ encoded: toHex(encodeStateKey(key)), keyHash: toHex(stateKeyHash(key)) })),
    tree: {
      leaves: state.map(({ key, value }) => ({
        key: toHex(encodeStateKey(key)),
        keyHash: toHex(stateKeyHash(key)),
        value: toHex(value),
        valueHash: toHex(stateValueHash(value)),
      })),
      roots: state.map((_, i) => ({
        leaves: i,
        root: toHex(sampleStateRoot(state.slice(0, i))),
      })),
      root: toHex(sampleStateRoot(state)),
      membership: state.map(({ key }) => proofOf(key)),
      absence: [7n, 8n, 99n, 12_345n].map((key) => proofOf({ kind: "row", table: "1_deeds", key })),
    },
  };
}

function genesisVectors() {
  const { genesis, ledgerId, sets } = createSampleLedger();
  return {
    document: genesisToJson(genesis),
    encoded: toHex(encodeGenesis(genesis)),
    ledgerId: toHex(ledgerId),
    paramsHash: toHex(hashLedgerParams(genesis.params)),
    validatorsHash: toHex(sets[0]!.hash),
  };
}

function receiptVectors() {
  const ledger = createSampleLedger();
  const bytes = encodeReceipt(createSampleReceipt(ledger));
  const other = createSampleLedger("other");
  const trusts = [1, 3, 6].map((height) => {
    const { hash, set } = ledger.blocks[height - 1]!;
    return trustedSetToJson({ ledgerId: ledger.ledgerId, height, headerHash: hash, set });
  });
  const flip = (at: number): Bytes => bytes.with(at, bytes[at]! ^ 1);
  return {
    genesis: genesisToJson(ledger.genesis),
    document: toHex(SAMPLE_DOCUMENT),
    receipt: toHex(bytes),
    /** The same with a block that another engine ordered; holds by the genesis. */
    receiptOfTwoEngines: toHex(mixedReceipt(ledger)),
    /** The receipt holds by the genesis, by the first two trusted sets, not by the third. */
    trustedSets: [
      { holds: true, trust: trusts[0] },
      { holds: true, trust: trusts[1] },
      { holds: false, trust: trusts[2] },
    ],
    otherGenesis: genesisToJson(other.genesis),
    refused: [
      { why: "another magic", hex: toHex(flip(0)) },
      { why: "another version", hex: toHex(flip(8)) },
      { why: "a byte after the end", hex: `${toHex(bytes)}00` },
      { why: "a changed byte near the end", hex: toHex(flip(bytes.length - 40)) },
      {
        why: "a receipt of another ledger with the same validators",
        hex: toHex(encodeReceipt(createSampleReceipt(other))),
      },
    ],
  };
}

/** File name → JSON text. */
export async function createVectors(): Promise<ReadonlyMap<string, string>> {
  await signatureBackends.ready();
  const files: readonly (readonly [string, unknown])[] = [
    ["cbor.json", cborVectors()],
    ["hashes.json", hashVectors()],
    ["keys.json", keyVectors()],
    ["transactions.json", transactionVectors()],
    ["outcomes.json", outcomeVectors()],
    ["transaction-tree.json", treeVectors()],
    ["blocks.json", blockVectors()],
    ["state-tree.json", stateVectors()],
    ["genesis.json", genesisVectors()],
    ["receipt.json", receiptVectors()],
    ["light.json", lightVectors()],
    ["forks.json", forkVectors()],
  ];
  return new Map(files.map(([name, value]) => [name, `${JSON.stringify(value, null, 1)}\n`]));
}
