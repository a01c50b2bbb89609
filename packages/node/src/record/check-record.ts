/**
 * Whether what a stopped node's database holds is the record: its tables give the state root, its
 * blocks hang together from genesis, and a quorum signed the newest one.
 */
import { existsSync } from "node:fs";
import { validatorSetAt } from "@hanse/modules";
import { verifyHeaderChain } from "@hanse/ordering";
import {
  decodeBlock,
  decodeFinalityProof,
  equalBytes,
  type GenesisDocument,
  genesisValidatorSet,
  HanseError,
  type Hash,
  hashHeader,
  ledgerIdOf,
  outcomeRoot,
  readyKeyBackends,
  toHanseError,
  toHex,
  transactionRoot,
  type ValidatorSet,
  verifyFinality,
} from "@hanse/protocol";
import type { PostgresLedgerStore } from "@hanse/storage";
import { openPostgresStore } from "../composition/open-postgres-store.ts";
import type { NodeConfig } from "../config/schema.ts";
import { lockFolder } from "../folder/folder-lock.ts";
import { checkNodeFolder, foldersOf, loadGenesis } from "../folder/node-folder.ts";
import { createLog } from "../log/create-log.ts";
import { collectHeaderChain } from "../snapshots/header-chain.ts";
import { readRecoveryStep } from "./recovery-step.ts";
import { findStateDifferences } from "./state-differences.ts";

export interface RecordDifference {
  /** Table and key, or a block. */
  readonly place: string;
  readonly what: string;
}

export interface RecordCheck {
  /** Newest durable height. */
  readonly height: number;
  /** Hex. */
  readonly stateRoot: string;
  /** Blocks read; less than `height` where old ones were let go, or some are gone. */
  readonly blocks: number;
  /** Empty = the record is whole. At most `DIFFERENCES_MAX` of the state and as many of the blocks. */
  readonly differences: readonly RecordDifference[];
}

/** Differences that are named, of the state and of the blocks each. */
export const DIFFERENCES_MAX = 100;
const BLOCKS_AT_ONCE = 100;
const BLOCKS_BYTES_MAX = 16 * 1024 * 1024;

async function checkState(store: PostgresLedgerStore): Promise<readonly RecordDifference[]> {
  try {
    await store.verifyIntegrity();
    return [];
  } catch (thrown) {
    const error = toHanseError(thrown);
    if (error.code !== "STORAGE_CORRUPT") throw thrown;
    const found = await findStateDifferences(store, DIFFERENCES_MAX);
    return found.length > 0 ? found : [{ place: "state", what: error.message }];
  }
}

/** @throws HanseError `NODE_RECORD_SET` when the state has another set than the headers name. */
function readSet(store: PostgresLedgerStore, height: number, hash: Hash): ValidatorSet {
  const { set } = validatorSetAt(store.state, height);
  if (equalBytes(set.hash, hash)) return set;
  throw new HanseError(
    "NODE_RECORD_SET",
    "corrupt",
    `the validators of height ${height} are not those that the header below names`,
  );
}

/** The set in force at the lowest block that is kept, led to from the genesis by kept headers. */
async function leadToLowest(
  store: PostgresLedgerStore,
  genesis: GenesisDocument,
  ledgerId: Hash,
): Promise<ValidatorSet> {
  const set = genesisValidatorSet(genesis);
  const { lowest } = store;
  if (lowest === 1) return set;
  const at = (height: number) => validatorSetAt(store.state, height).set;
  const chain = await collectHeaderChain({ reads: store, validatorSetAt: at }, lowest);
  const verdict =
    chain === undefined
      ? { ok: false as const, reason: "its proof is missing" }
      : verifyHeaderChain(chain, { ledgerId, set, height: 1 });
  if (verdict.ok) return verdict.set;
  throw new HanseError(
    "NODE_RECORD_SET",
    "corrupt",
    `the headers kept do not lead from the genesis to block ${lowest}: ${verdict.reason}`,
  );
}

async function checkBlocks(
  store: PostgresLedgerStore,
  genesis: GenesisDocument,
  ledgerId: Hash,
): Promise<{ readonly blocks: number; readonly differences: readonly RecordDifference[] }> {
  const { height: newest, blockHash, resultsRoot } = await store.info();
  const found: RecordDifference[] = [];
  const note = (height: number, what: string) => {
    if (found.length < DIFFERENCES_MAX) found.push({ place: `block ${height}`, what });
  };
  const { lowest } = store;
  let set: ValidatorSet;
  try {
    set = await leadToLowest(store, genesis, ledgerId);
  } catch (error) {
    return { blocks: 0, differences: [{ place: "headers", what: toHanseError(error).message }] };
  }
  // Of a block that is no longer kept nothing is known here but what the one above says.
  let below = lowest === 1 ? ledgerId : undefined;
  let results: Hash | undefined;
  /** Of the set that the block below hands over to. */
  let announced: Hash | undefined;
  let next = lowest;
  while (next <= newest) {
    const upTo = Math.min(newest, next + BLOCKS_AT_ONCE - 1);
    const list = await store.blocks(next, upTo, BLOCKS_BYTES_MAX);
    if (list.length === 0) {
      note(next, "is gone from the database");
      break;
    }
    for (const stored of list) {
      const { height } = stored;
      if (height !== next) note(next, "is gone from the database");
      next = height + 1;
      try {
        const block = decodeBlock(stored.bytes);
        const { header, transactions } = block;
        const hash = hashHeader(header);
        if (header.height !== height) note(height, `holds block ${header.height}`);
        if (below !== undefined && !equalBytes(header.parentHash, below))
          note(height, "does not follow the block below");
        if (!equalBytes(hash, stored.hash)) note(height, "is stored under another hash");
        if (!equalBytes(header.txRoot, transactionRoot(transactions))) {
          note(height, "has other transactions than its header");
        }
        if (results !== undefined && !equalBytes(header.prevResultsRoot, results)) {
          note(height - 1, "has other outcomes than the block above certifies");
        }
        const recovery = readRecoveryStep(
          block,
          { hash: below, set },
          { ledgerId, state: store.state },
        );
        if (recovery?.ok === false) note(height, recovery.reason);
        // Each set vouches for the next one; what the table says of it must have that hash.
        if (recovery?.ok) set = recovery.set;
        else if (announced !== undefined) set = readSet(store, height, announced);
        const handsOver = !equalBytes(header.nextValidatorsHash, header.validatorsHash);
        announced = handsOver ? header.nextValidatorsHash : undefined;
        if (handsOver || recovery !== undefined || height === newest) {
          const proof = decodeFinalityProof(stored.certificate, header);
          const verdict = verifyFinality(proof, { ledgerId, set });
          if (!verdict.ok) note(height, `is not certified: ${verdict.reason}`);
        }
        below = hash;
        results = outcomeRoot(await store.outcomes(height), await store.views(height));
        if (height === newest) {
          if (!equalBytes(results, resultsRoot)) note(height, "has other outcomes than their root");
          if (!equalBytes(hash, blockHash)) note(height, "is not the newest block of the record");
        }
      } catch (error) {
        note(height, `cannot be read: ${toHanseError(error).message}`);
        results = undefined;
      }
    }
  }
  return { blocks: next - lowest, differences: found };
}

/**
 * Checks the whole record of a node that does not run; about ten seconds per million rows.
 * @throws HanseError `NODE_FOLDER_LOCKED` while it runs, `NODE_DATABASE_MISSING`, `STORAGE_*`.
 */
export async function checkRecord(config: NodeConfig): Promise<RecordCheck> {
  await readyKeyBackends();
  const genesis = loadGenesis(config);
  const ledgerId = ledgerIdOf(genesis);
  const folder = checkNodeFolder(config, ledgerId);
  const { postgres } = foldersOf(config);
  if (config.database.url === undefined && !folder.database && !existsSync(postgres)) {
    throw new HanseError(
      "NODE_DATABASE_MISSING",
      "notFound",
      `${postgres}: this node has never run: there is nothing to check`,
      { details: { field: "node.dataDir" } },
    );
  }
  const lock = lockFolder(config.node.dataDir);
  try {
    const log = createLog("silent", {});
    const opened = await openPostgresStore({ config, genesis, ledgerId, note: folder, log });
    try {
      const { store } = opened;
      const { height, stateRoot } = await store.info();
      const state = await checkState(store);
      const { blocks, differences } = await checkBlocks(store, genesis, ledgerId);
      return {
        height,
        stateRoot: toHex(stateRoot),
        blocks,
        differences: [...state, ...differences],
      };
    } finally {
      await opened.close();
    }
  } finally {
    lock.release();
  }
}
