/**
 * Receipts from what is durable here: the transaction and its outcome, facts of the state, and every
 * header between the genesis and them at which the validator set changed hands.
 */
import {
  type BlockHeader,
  encodeKvValue,
  encodeRowValue,
  encodeSchemaValue,
  encodeSequenceValue,
  equalBytes,
  type FinalityProof,
  HanseError,
  type Hash,
  hashLeaf,
  hashOutcome,
  merklePath,
  RECEIPT_BLOCKS_MAX,
  type Receipt,
  type ReceiptTransaction,
  type StateFact,
  type StateKey,
  stateFactOf,
  stateValueHash,
  toHex,
  type ValidatorSet,
} from "@hanse/protocol";
import type { StateView } from "@hanse/state";
import type { LedgerStore } from "../pipeline/interfaces.ts";
import { prunedError, readKeptProof } from "./kept-proofs.ts";

/** Repeats of a state proof that execution has overtaken. */
const PROOF_ATTEMPTS = 16;

export interface ReceiptRequest {
  /** The transaction that the receipt is about. */
  readonly id?: Hash;
  /** Keys of the state as it is now, present or absent; a row brings its table's schema along. */
  readonly state?: readonly StateKey[];
  /** SHA-256 of documents that the transaction or the state names. */
  readonly documents?: readonly Hash[];
  /** How long to wait for the block that certifies the newest facts. */
  readonly timeoutMs?: number;
}

export interface ReceiptParts {
  readonly ledgerId: Hash;
  readonly store: LedgerStore;
  /** The set in force at a height. */
  readonly validatorSetAt: (height: number) => ValidatorSet | undefined;
  /** Resolves when the block is durable here. */
  readonly whenDurable: (height: number, timeoutMs: number) => Promise<void>;
}

interface Loaded {
  readonly header: BlockHeader;
  readonly proof: FinalityProof;
  readonly transactions: readonly Uint8Array[];
}

function createLoader(store: LedgerStore): (height: number) => Promise<Loaded> {
  const loaded = new Map<number, Loaded>();
  return async (height) => {
    const before = loaded.get(height);
    if (before !== undefined) return before;
    const kept = await readKeptProof(store, height);
    if (kept === undefined) throw prunedError("receipt", height);
    const { proof, transactions } = kept;
    if (proof === undefined) {
      throw new HanseError(
        "LEDGER_RECEIPT_UNPROVEN",
        "unavailable",
        `block ${height} is final, but its proof is still being collected: ask again`,
        { details: { retryAfterSeconds: 1 } },
      );
    }
    const block = { header: proof.header, transactions, proof };
    loaded.set(height, block);
    return block;
  };
}

/** The bytes that the leaf of a key holds now. */
function leafValueOf(state: StateView, key: StateKey): Uint8Array | undefined {
  switch (key.kind) {
    case "row": {
      const row = state.schema(key.table) && state.getRow(key.table, key.key);
      return row && encodeRowValue(row);
    }
    case "kv": {
      const entry = state.getKv(key.namespace, key.key);
      return entry && encodeKvValue(entry);
    }
    case "schema": {
      const schema = state.schema(key.table);
      return schema && encodeSchemaValue(schema);
    }
    case "sequence": {
      const next = state.schema(key.table) && state.nextId(key.table);
      // A table that never gave a key has no such leaf.
      return next === undefined || next <= 1n ? undefined : encodeSequenceValue(next);
    }
  }
}

/** Every row needs the schema by which it is read. */
function withSchemas(keys: readonly StateKey[]): StateKey[] {
  const tables = new Set<string>();
  const told = new Set<string>();
  for (const key of keys) {
    if (key.kind === "row") tables.add(key.table);
    if (key.kind === "schema") told.add(key.table);
  }
  const missing = [...tables].filter((table) => !told.has(table));
  return [...missing.map((table): StateKey => ({ kind: "schema", table })), ...keys];
}

interface ProvenState {
  /** The newest height whose state this is. */
  readonly height: number;
  readonly root: Hash;
  readonly facts: readonly Omit<StateFact, "height">[];
}

/** The database has another value at `height` than the state root of that height. */
function tampered(key: StateKey, height: number): HanseError {
  const table = key.kind === "kv" ? key.namespace : key.table;
  let text: string = key.kind;
  if ("key" in key) text = key.key instanceof Uint8Array ? toHex(key.key) : String(key.key);
  return new HanseError(
    "LEDGER_STATE_TAMPERED",
    "corrupt",
    `${table}: ${text}: this node's database holds another value than its state root at height ${height}: compare with another node, then restore or rebuild this database`,
    { details: { table, key: text } },
  );
}

async function proveState(store: LedgerStore, keys: readonly StateKey[]): Promise<ProvenState> {
  let differed: { readonly height: number; readonly key: StateKey } | undefined;
  for (let attempt = 0; attempt < PROOF_ATTEMPTS; attempt++) {
    const { height, root, proofs } = await store.proveState(keys);
    // Nothing was executed since the attempt before: what it read was the state of this height.
    if (differed?.height === height) throw tampered(differed.key, height);
    const facts = keys.map((key, i) =>
      stateFactOf(height, key, leafValueOf(store.state, key), proofs[i]!),
    );
    // The values are read after the proofs: a block may have come between.
    const other = facts.findIndex((fact, i) => {
      const { leaf, keyHash } = proofs[i]!;
      const present = leaf !== undefined && equalBytes(leaf.keyHash, keyHash);
      if (fact.value === undefined) return present;
      return !present || !equalBytes(stateValueHash(fact.value), leaf.valueHash);
    });
    if (other < 0) return { height, root, facts };
    differed = { height, key: keys[other]! };
  }
  throw new HanseError(
    "LEDGER_RECEIPT_BUSY",
    "unavailable",
    "state: it changes faster than it can be read: ask again",
    { details: { retryAfterSeconds: 1 } },
  );
}

/**
 * @throws HanseError `LEDGER_TX_UNKNOWN`, `LEDGER_RECEIPT_EMPTY`, `LEDGER_BLOCK_PRUNED`,
 * `LEDGER_RECEIPT_UNPROVEN`, `LEDGER_RECEIPT_SETS`, `LEDGER_RECEIPT_BUSY`, `LEDGER_STATE_TAMPERED` or `LEDGER_WAIT_TIMEOUT`.
 */
export async function buildReceipt(parts: ReceiptParts, request: ReceiptRequest): Promise<Receipt> {
  const { store, ledgerId } = parts;
  const { timeoutMs = 30_000, documents = [] } = request;
  const load = createLoader(store);
  const heights = new Set<number>();

  async function proveTransaction(id: Hash): Promise<ReceiptTransaction> {
    const stored = await store.transaction(id);
    if (stored === undefined) {
      const pruned = await store.prunedHeight?.(id);
      if (pruned !== undefined) throw prunedError("id", pruned);
      throw new HanseError(
        "LEDGER_TX_UNKNOWN",
        "notFound",
        "id: no final transaction of this ledger has it: wait until it is final, or check the id",
      );
    }
    const { height, index } = stored;
    await parts.whenDurable(height + 1, timeoutMs);
    heights.add(height).add(height + 1);
    const { transactions } = await load(height);
    const outcomes = await store.outcomes(height);
    const views = (await store.views?.(height)) ?? [];
    return {
      bytes: transactions[index]!,
      height,
      index,
      path: merklePath(transactions.map(hashLeaf), index),
      outcome: outcomes[index]!,
      outcomePath: merklePath(outcomes.map(hashOutcome), index),
      views: views.map(({ engine, hash }) => ({ engine, hash })),
    };
  }

  async function proveFacts(keys: readonly StateKey[]): Promise<StateFact[]> {
    const { height, root, facts } = await proveState(store, withSchemas(keys));
    // A block that changed nothing certifies the state after it by its own header already.
    const own = height === 0 ? undefined : await loadIfDurable(height);
    const certified =
      own !== undefined && equalBytes(own.header.prevStateRoot, root) ? height - 1 : height;
    await parts.whenDurable(certified + 1, timeoutMs);
    heights.add(certified + 1);
    return facts.map((fact) => ({ ...fact, height: certified }));
  }

  async function loadIfDurable(height: number): Promise<Loaded | undefined> {
    return (await store.block(height)) === undefined ? undefined : load(height);
  }

  /**
   * The last header before each change of the set, and the sets in order: from genesis, or from
   * where organizations put in a set that the one before never handed over to (a recovery).
   */
  async function leadFromGenesis(): Promise<ValidatorSet[]> {
    const starts: number[] = [];
    const lowest = Math.min(...heights);
    let { header } = await load(Math.max(...heights));
    while (header.lastSetChangeHeight > 1) {
      const first = header.lastSetChangeHeight;
      const below = (await load(first - 1)).header;
      const isHandedOver = equalBytes(below.nextValidatorsHash, header.validatorsHash);
      if (!isHandedOver && lowest >= first) return setsOf([first, ...starts]);
      starts.unshift(first);
      heights.add(first - 1);
      if (heights.size > RECEIPT_BLOCKS_MAX) {
        throw new HanseError(
          "LEDGER_RECEIPT_SETS",
          "rejected",
          `more than ${RECEIPT_BLOCKS_MAX} changes of validators: begin from a later trusted set`,
        );
      }
      header = below;
    }
    return setsOf([1, ...starts]);
  }

  function setsOf(starts: readonly number[]): ValidatorSet[] {
    return starts.map((start) => {
      const set = parts.validatorSetAt(start);
      if (set !== undefined) return set;
      throw new HanseError(
        "LEDGER_RECEIPT_SETS",
        "notFound",
        `the validators of height ${start} are not kept here: ask another node for this receipt`,
      );
    });
  }

  const transaction = request.id === undefined ? undefined : await proveTransaction(request.id);
  const facts = request.state?.length ? await proveFacts(request.state) : [];
  if (heights.size === 0) {
    throw new HanseError(
      "LEDGER_RECEIPT_EMPTY",
      "rejected",
      "a receipt needs a transaction's id or keys of the state",
    );
  }
  const sets = await leadFromGenesis();
  const blocks: FinalityProof[] = [];
  for (const height of [...heights].sort((a, b) => a - b)) blocks.push((await load(height)).proof);
  return {
    ledgerId,
    sets,
    blocks,
    ...(transaction === undefined ? {} : { transaction }),
    facts,
    documents,
  };
}
