/**
 * Receipts (spec/receipts.md): everything that an outsider needs to check what a ledger recorded,
 * with no node and no network. A receipt is a file of magic, version and one deterministic CBOR
 * value; `verifyReceipt` judges it.
 */
import { decodeHeader, encodeHeader } from "../block/header.ts";
import {
  type ValidatorSet,
  validatorSetFromCbor,
  validatorSetToCbor,
} from "../block/validator-set.ts";
import { type Bytes, concatBytes, equalBytes, utf8 } from "../encoding/bytes.ts";
import { type CborValue, decodeCbor, encodeCbor } from "../encoding/cbor.ts";
import { asArray, asBytes, asText, asUint } from "../encoding/fields.ts";
import { HanseError } from "../errors/hanse-error.ts";
import {
  decodeFinalityProof,
  encodeFinalityProof,
  type FinalityProof,
} from "../finality/finality-proof.ts";
import { HASH_BYTES, type Hash } from "../hash/domain.ts";
import {
  STATE_PROOF_DEPTH_MAX,
  type StateKey,
  type StateProof,
  stateKeyHash,
} from "../merkle/state-proof.ts";
import {
  decodeOutcome,
  encodeOutcome,
  type ForeignViewHash,
  type Outcome,
} from "../outcome/outcome.ts";

/**
 * Version 1 holds certificates of the built-in engine alone; version 2 is the same file with proofs
 * of any engine, and at least one of another. So every receipt has one encoding, and readers of
 * version 1 go on reading all that they can judge.
 */
export const RECEIPT_VERSIONS = [1, 2] as const;
/** The first eight bytes of a receipt file; the version byte follows. */
export const RECEIPT_MAGIC: Bytes = utf8("HANSERCT");
/** Usual ending of a receipt's file name. */
export const RECEIPT_FILE_EXTENSION = ".receipt";

/** Larger files are refused unread. */
export const RECEIPT_BYTES_MAX = 16 * 1024 * 1024;
/** Headers in one receipt: one or two per statement and one per change of the validator set. */
export const RECEIPT_BLOCKS_MAX = 10_000;
export const RECEIPT_FACTS_MAX = 10_000;
export const RECEIPT_DOCUMENTS_MAX = 1_000;
/** Steps of a path in a tree of transactions or outcomes. */
const TREE_PATH_MAX = 53;

/** A transaction in the block of its height and its outcome under the header above. */
export interface ReceiptTransaction {
  /** As submitted, form byte in front. */
  readonly bytes: Bytes;
  readonly height: number;
  /** Place in the block. */
  readonly index: number;
  /** Path to the header's txRoot, nearest sibling first. */
  readonly path: readonly Hash[];
  readonly outcome: Outcome;
  /** Path to the root over the block's outcomes, nearest sibling first. */
  readonly outcomePath: readonly Hash[];
  /** Foreign views of the block, all of them; usually none. */
  readonly views: readonly ForeignViewHash[];
}

/** What the state held, or did not hold, under a key after a height. */
export interface StateFact {
  /** Height after whose execution it held; certified by the header of height + 1. */
  readonly height: number;
  readonly key: StateKey;
  /** The leaf's value bytes; undefined = the key is absent. */
  readonly value: Bytes | undefined;
  /** For an absent key: the leaf of another key where the path ends, if one stands there. */
  readonly otherLeaf: { readonly keyHash: Hash; readonly valueHash: Hash } | undefined;
  readonly siblings: readonly Bytes[];
}

export interface Receipt {
  readonly ledgerId: Hash;
  /** The set that the checker trusts to begin with, then the set after each change, in order. */
  readonly sets: readonly ValidatorSet[];
  /**
   * By height, ascending: the last header before each change of the set, and the headers that the
   * transaction and the facts are proven against.
   */
  readonly blocks: readonly FinalityProof[];
  readonly transaction?: ReceiptTransaction;
  /** A row that is there needs the schema of its table as a fact of the same height. */
  readonly facts: readonly StateFact[];
  /** SHA-256 of documents that the transaction or the facts are said to name. */
  readonly documents: readonly Hash[];
}

/** A fact from a proof of the state tree; `value` = the leaf's value bytes when the key is there. */
export function stateFactOf(
  height: number,
  key: StateKey,
  value: Bytes | undefined,
  proof: StateProof,
): StateFact {
  return {
    height,
    key,
    value,
    otherLeaf: value === undefined ? proof.leaf : undefined,
    siblings: proof.siblings,
  };
}

function factToCbor(fact: StateFact): CborValue {
  const { key } = fact;
  const keyParts: CborValue =
    key.kind === "row"
      ? [key.kind, key.table, key.key]
      : key.kind === "kv"
        ? [key.kind, key.namespace, key.key]
        : [key.kind, key.table];
  const other = fact.otherLeaf;
  // A value binds the key through its leaf. Absence would hold for neighbouring keys as well, so
  // the key's hash stands there and a damaged key is noticed.
  const absence: CborValue = [
    stateKeyHash(key),
    other === undefined ? null : [other.keyHash, other.valueHash],
  ];
  const value = fact.value ?? null;
  const siblings = concatBytes(...fact.siblings);
  return [fact.height, keyParts, value, value === null ? absence : null, siblings];
}

function versionOf({ blocks }: Receipt): (typeof RECEIPT_VERSIONS)[number] {
  return blocks.every((proof) => proof.kind === "qc") ? 1 : 2;
}

/** The bytes of a receipt file. */
export function encodeReceipt(receipt: Receipt): Bytes {
  const { transaction: t } = receipt;
  const body = encodeCbor([
    receipt.ledgerId,
    receipt.sets.map(validatorSetToCbor),
    receipt.blocks.map((proof) => [encodeHeader(proof.header), encodeFinalityProof(proof)]),
    t === undefined
      ? null
      : [
          t.bytes,
          t.height,
          t.index,
          concatBytes(...t.path),
          encodeOutcome(t.outcome),
          concatBytes(...t.outcomePath),
          t.views.map((view) => [view.engine, view.hash]),
        ],
    receipt.facts.map(factToCbor),
    receipt.documents as Bytes[],
  ]);
  return concatBytes(RECEIPT_MAGIC, Uint8Array.of(versionOf(receipt)), body);
}

function invalid(message: string): never {
  throw new HanseError("RECEIPT_INVALID", "malformed", message);
}

function splitHashes(value: CborValue | undefined, field: string, most: number): Hash[] {
  const joined = asBytes(value, field);
  if (joined.length % HASH_BYTES !== 0 || joined.length > most * HASH_BYTES) {
    invalid(`${field}: expected at most ${most} hashes of ${HASH_BYTES} bytes`);
  }
  return Array.from({ length: joined.length / HASH_BYTES }, (_, i) =>
    joined.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES),
  );
}

function readList<T>(
  value: CborValue | undefined,
  field: string,
  most: number,
  read: (item: CborValue, at: string) => T,
): T[] {
  const items = asArray(value, field);
  if (items.length > most) invalid(`${field}: at most ${most} entries`);
  return items.map((item, i) => read(item, `${field}[${i}]`));
}

function readKey(value: CborValue | undefined, field: string): StateKey {
  const parts = asArray(value, field);
  const kind = asText(parts[0], `${field}.kind`);
  const name = asText(parts[1], `${field}.name`);
  const key = parts[2];
  if (kind === "schema" || kind === "sequence") {
    if (parts.length !== 2) invalid(`${field}: a ${kind} key has two parts`);
    return { kind, table: name };
  }
  if (parts.length !== 3) invalid(`${field}: expected three parts`);
  if (kind === "kv") return { kind, namespace: name, key: asBytes(key, `${field}.key`) };
  if (kind !== "row") invalid(`${field}.kind: unknown`);
  if (typeof key === "number") return { kind, table: name, key: BigInt(key) };
  if (typeof key === "bigint" || typeof key === "string" || key instanceof Uint8Array) {
    return { kind, table: name, key };
  }
  return invalid(`${field}.key: expected an integer, a text or bytes`);
}

function readFact(value: CborValue, field: string): StateFact {
  const [heightValue, keyValue, leaf, absence, siblingsValue] = asArray(value, field, 5);
  const height = asUint(heightValue, `${field}.height`);
  const key = readKey(keyValue, `${field}.key`);
  const siblings = splitHashes(siblingsValue, `${field}.siblings`, STATE_PROOF_DEPTH_MAX);
  if ((leaf === null) === (absence === null)) {
    invalid(`${field}: expected either a value or what proves its absence`);
  }
  if (leaf !== null) {
    const bytes = asBytes(leaf, `${field}.value`);
    return { height, key, value: bytes, otherLeaf: undefined, siblings };
  }
  const [keyHash, otherValue] = asArray(absence, `${field}.absence`, 2);
  if (!equalBytes(asBytes(keyHash, `${field}.absence.keyHash`, HASH_BYTES), stateKeyHash(key))) {
    invalid(`${field}.absence.keyHash: not the hash of the key`);
  }
  if (otherValue === null) return { height, key, value: undefined, otherLeaf: undefined, siblings };
  const other = asArray(otherValue, `${field}.absence.otherLeaf`, 2);
  const otherLeaf = {
    keyHash: asBytes(other[0], `${field}.absence.otherLeaf.keyHash`, HASH_BYTES),
    valueHash: asBytes(other[1], `${field}.absence.otherLeaf.valueHash`, HASH_BYTES),
  };
  return { height, key, value: undefined, otherLeaf, siblings };
}

function readTransaction(value: CborValue, field: string): ReceiptTransaction {
  const f = asArray(value, field, 7);
  return {
    bytes: asBytes(f[0], `${field}.bytes`),
    height: asUint(f[1], `${field}.height`),
    index: asUint(f[2], `${field}.index`),
    path: splitHashes(f[3], `${field}.path`, TREE_PATH_MAX),
    outcome: decodeOutcome(asBytes(f[4], `${field}.outcome`)),
    outcomePath: splitHashes(f[5], `${field}.outcomePath`, TREE_PATH_MAX),
    views: readList(f[6], `${field}.views`, 32, (item, at) => {
      const [engine, hash] = asArray(item, at, 2);
      return {
        engine: asText(engine, `${at}.engine`),
        hash: asBytes(hash, `${at}.hash`, HASH_BYTES),
      };
    }),
  };
}

/**
 * Reads a receipt file; proves nothing yet. Only the one encoding of a receipt is taken.
 * @throws HanseError `RECEIPT_INVALID`, `FIELD_INVALID`, `CBOR_*` and the codes of what is inside,
 * naming the field.
 */
export function decodeReceipt(bytes: Bytes): Receipt {
  if (bytes.length > RECEIPT_BYTES_MAX) {
    const message = `a receipt has at most ${RECEIPT_BYTES_MAX} bytes`;
    throw new HanseError("RECEIPT_INVALID", "tooLarge", message);
  }
  const start = RECEIPT_MAGIC.length;
  if (bytes.length <= start || !equalBytes(bytes.subarray(0, start), RECEIPT_MAGIC)) {
    invalid("this file is not a receipt: it does not begin with HANSERCT");
  }
  if (!RECEIPT_VERSIONS.some((version) => version === bytes[start])) {
    invalid(
      `receipt version ${bytes[start]}; this program reads versions ${RECEIPT_VERSIONS.join(" and ")}`,
    );
  }
  const [ledgerId, sets, blocks, transaction, facts, documents] = asArray(
    decodeCbor(bytes.subarray(start + 1)),
    "receipt",
    6,
  );
  const receipt: Receipt = {
    ledgerId: asBytes(ledgerId, "receipt.ledgerId", HASH_BYTES),
    sets: readList(sets, "receipt.sets", RECEIPT_BLOCKS_MAX, validatorSetFromCbor),
    blocks: readList(blocks, "receipt.blocks", RECEIPT_BLOCKS_MAX, (item, at) => {
      const [header, proof] = asArray(item, at, 2);
      return decodeFinalityProof(
        asBytes(proof, `${at}.proof`),
        decodeHeader(asBytes(header, `${at}.header`)),
      );
    }),
    ...(transaction === null || transaction === undefined
      ? {}
      : { transaction: readTransaction(transaction, "receipt.transaction") }),
    facts: readList(facts, "receipt.facts", RECEIPT_FACTS_MAX, readFact),
    documents: readList(documents, "receipt.documents", RECEIPT_DOCUMENTS_MAX, (item, at) =>
      asBytes(item, at, HASH_BYTES),
    ),
  };
  // Sorting and defaults of the readers above would let two files mean the same receipt.
  if (!equalBytes(encodeReceipt(receipt), bytes)) invalid("the file is not in canonical form");
  return receipt;
}
