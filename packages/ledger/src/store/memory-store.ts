/**
 * A ledger's store in memory: the real state and the real tree, nothing durable beyond the object.
 * For simulation, tests and measurements of the pipeline without a database. `reopen` is what a
 * crash leaves: everything committed, nothing that was only applied.
 */
import type { AppInfo } from "@hanse/ordering";
import {
  decodeFinalityProof,
  encodeBlock,
  encodeFinalityProof,
  encodeKvValue,
  encodeRowValue,
  encodeSchemaValue,
  encodeSequenceValue,
  type FinalityProof,
  type ForeignViewHash,
  HanseError,
  type Hash,
  type StateKey,
  stateKeyHash,
  stateValueHash,
  ZERO_HASH,
} from "@hanse/protocol";
import { createMemoryState, mapKey, type RowKey, type StateChange, StateTree } from "@hanse/state";
import { hashKey } from "../mempool/hash-key.ts";
import type {
  BlockCommit,
  GenesisCommit,
  HistoryEntry,
  LedgerStore,
  Outcome,
  StoredBlock,
  StoredTransaction,
} from "../pipeline/interfaces.ts";

export interface MemoryLedgerStore extends LedgerStore {
  /** The store as a new process finds it. */
  reopen(): Promise<MemoryLedgerStore>;
}

interface Committed {
  readonly stored: StoredBlock;
  readonly commit: BlockCommit;
}

/** Key and value of the leaf that a change leaves behind; no value = the leaf goes. */
function leafOf(change: StateChange): { key: StateKey; value: Uint8Array | undefined } {
  switch (change.kind) {
    case "row":
      return {
        key: { kind: "row", table: change.table, key: change.key },
        value: change.after && encodeRowValue(change.after),
      };
    case "kv":
      return {
        key: { kind: "kv", namespace: change.namespace, key: change.key },
        value: change.after && encodeKvValue(change.after),
      };
    default:
      return {
        key: { kind: "schema", table: change.table },
        value: encodeSchemaValue(change.after),
      };
  }
}

function fold(tree: StateTree, changes: readonly StateChange[], nextId: (table: string) => bigint) {
  const leaves = new Map<string, { keyHash: Hash; valueHash: Hash }>();
  const set = (key: StateKey, value: Uint8Array | undefined) => {
    const keyHash = stateKeyHash(key);
    const valueHash = value === undefined ? ZERO_HASH : stateValueHash(value);
    leaves.set(hashKey(keyHash), { keyHash, valueHash });
  };
  const sequences = new Set<string>();
  for (const change of changes) {
    const { key, value } = leafOf(change);
    set(key, value);
    if (change.kind === "row" && typeof change.key === "bigint") sequences.add(change.table);
  }
  for (const table of sequences) {
    set({ kind: "sequence", table }, encodeSequenceValue(nextId(table)));
  }
  const keyHashes = new Uint8Array(32 * leaves.size);
  const valueHashes = new Uint8Array(32 * leaves.size);
  let at = 0;
  for (const { keyHash, valueHash } of leaves.values()) {
    keyHashes.set(keyHash, at);
    valueHashes.set(valueHash, at);
    at += 32;
  }
  return tree.update({ keyHashes, valueHashes });
}

/** An empty store; `createLedger` seeds it. */
export function createMemoryLedgerStore(): MemoryLedgerStore {
  const state = createMemoryState();
  const tree = new StateTree();
  const blocks: Committed[] = [];
  const transactions = new Map<string, StoredTransaction>();
  const validUntils: { id: Hash; validUntil: number }[] = [];
  let genesis: GenesisCommit | undefined;
  let appliedHeight = 0;

  async function apply(height: number, changes: readonly StateChange[]): Promise<Hash> {
    state.apply(height, changes);
    appliedHeight = height;
    return fold(tree, changes, (table) => state.nextId(table));
  }

  async function commit(item: BlockCommit): Promise<void> {
    const { block, hash, proof } = item.decided;
    const { height } = block.header;
    if (height !== blocks.length + 1) {
      throw new HanseError("STORE_HEIGHT", "conflict", `block ${height} after ${blocks.length}`);
    }
    const bytes = encodeBlock(block);
    const certificate = proof === undefined ? new Uint8Array(0) : encodeFinalityProof(proof);
    blocks.push({ stored: { height, hash, bytes, certificate }, commit: item });
    for (const [index, transaction] of item.executed.transactions.entries()) {
      const { id, validUntil } = transaction;
      const outcome = item.executed.outcomes[index]!;
      transactions.set(hashKey(id), { id, height, index, outcome });
      validUntils.push({ id, validUntil });
    }
  }

  async function saveProof(proof: FinalityProof): Promise<void> {
    const item = blocks[proof.header.height - 1];
    if (item === undefined) {
      throw new HanseError("STORE_HEIGHT", "notFound", `block ${proof.header.height} is not here`);
    }
    const certificate = encodeFinalityProof(proof);
    blocks[proof.header.height - 1] = { ...item, stored: { ...item.stored, certificate } };
  }

  async function commitGenesis(item: GenesisCommit): Promise<void> {
    if (genesis !== undefined) {
      throw new HanseError("STORE_GENESIS", "conflict", "height 0 is there already");
    }
    genesis = item;
  }

  const store: MemoryLedgerStore = {
    state,
    apply,
    commit,
    saveProof,
    commitGenesis,
    async info(): Promise<AppInfo> {
      const last = blocks.at(-1);
      return {
        height: blocks.length,
        stateRoot: last?.commit.result.stateRoot ?? genesis?.stateRoot ?? ZERO_HASH,
        resultsRoot: last?.commit.result.resultsRoot ?? ZERO_HASH,
        blockHash: last?.stored.hash ?? ZERO_HASH,
      };
    },
    block: async (height) => blocks[height - 1]?.stored,
    async blocks(from, to, bytesMax) {
      const found: StoredBlock[] = [];
      let size = 0;
      for (let height = Math.max(1, from); height <= Math.min(to, blocks.length); height++) {
        const { stored } = blocks[height - 1]!;
        size += stored.bytes.length + stored.certificate.length;
        if (found.length > 0 && size > bytesMax) break;
        found.push(stored);
      }
      return found;
    },
    outcomes: async (height): Promise<readonly Outcome[]> =>
      blocks[height - 1]?.commit.executed.outcomes ?? [],
    views: async (height): Promise<readonly ForeignViewHash[]> =>
      blocks[height - 1]?.commit.views ?? [],
    transaction: async (id) => transactions.get(hashKey(id)),
    committedOf: async (ids) => ids.map((id) => transactions.has(hashKey(id))),
    async history(table, key, { limit, beforeHeight = Number.POSITIVE_INFINITY }) {
      const found: HistoryEntry[] = [];
      const wanted = mapKey(key as RowKey);
      for (let at = Math.min(blocks.length, beforeHeight - 1); at >= 1; at--) {
        const { changes, executed } = blocks[at - 1]!.commit;
        for (const change of [...changes].reverse()) {
          if (change.kind !== "row" || change.table !== table) continue;
          if (mapKey(change.key) !== wanted) continue;
          const { id, sender } = executed.transactions[change.index]!;
          found.push({
            height: at,
            index: change.index,
            transactionId: id,
            sender,
            before: change.before?.values,
            after: change.after?.values,
          });
          if (found.length === limit) return found;
        }
      }
      return found;
    },
    async proveState(keys: readonly StateKey[]) {
      const proofs = keys.map((key) => tree.prove(stateKeyHash(key)));
      return { height: appliedHeight, root: tree.root, proofs };
    },
    async recentTransactionIds(since, limit) {
      return validUntils
        .filter((item) => item.validUntil >= since)
        .sort((a, b) => a.validUntil - b.validUntil)
        .slice(0, limit);
    },
    async reopen() {
      const next = createMemoryLedgerStore();
      if (genesis === undefined) return next;
      await next.apply(0, genesis.changes);
      await next.commitGenesis(genesis);
      for (const { stored, commit: item } of blocks) {
        await next.apply(item.result.height, item.changes);
        await next.commit(item);
        if (stored.certificate.length > 0) {
          await next.saveProof(decodeFinalityProof(stored.certificate, item.decided.block.header));
        }
      }
      return next;
    },
  };

  return store;
}
