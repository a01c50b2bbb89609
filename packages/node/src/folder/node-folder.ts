/**
 * A node's folder and the note in it that says whose it is. Creating it is an act of its own,
 * never part of a start: a node that finds its folder empty must not vote as if it never had.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createSigningState } from "@hanse/ordering";
import {
  decodeGenesis,
  decodeKeyFile,
  fromHex,
  type GenesisDocument,
  genesisFromJson,
  HanseError,
  type Hash,
  type KeyPair,
  ledgerIdOf,
  readyKeyBackends,
  toHanseError,
  toHex,
} from "@hanse/protocol";
import type { NodeConfig } from "../config/schema.ts";
import { openDisk } from "../disk/open-disk.ts";

const NOTE = "node.json";
const FORMAT = "hanse-node";

export interface FolderNote {
  readonly format: typeof FORMAT;
  readonly version: 1;
  readonly node: string;
  /** Hex. */
  readonly ledgerId: string;
  /** Set when the embedded database was there once: from then on it must be. */
  readonly database: boolean;
}

/** Places in a node's folder. */
export function foldersOf(config: NodeConfig) {
  const { dataDir } = config.node;
  return {
    ordering: join(dataDir, "ordering"),
    journal: join(dataDir, "journal"),
    postgres: join(dataDir, "postgres"),
    snapshots: join(dataDir, "snapshots"),
    /** A snapshot that is being fetched, or waits to be loaded. */
    incoming: join(dataDir, "incoming"),
    /** What this node saw of others, and what shows it. */
    probes: join(dataDir, "probes"),
  };
}

function read(file: string, what: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new HanseError("NODE_FILE", "notFound", `${what}: ${file} cannot be read`, { cause });
  }
}

/** Runs `parse`; its error then names the configuration key and the file. */
function parseFile<T>(file: string, key: string, parse: (bytes: Buffer) => T): T {
  const bytes = read(file, key);
  try {
    return parse(bytes);
  } catch (thrown) {
    const error = toHanseError(thrown);
    throw new HanseError(error.code, "malformed", `${key}: ${file}: ${error.message}`, {
      details: error.details,
      cause: thrown,
    });
  }
}

/** @throws HanseError naming `ledger.genesis`, the file and the field. */
export function loadGenesis(config: NodeConfig): GenesisDocument {
  const file = config.ledger.genesis;
  return parseFile(file, "ledger.genesis", (bytes) => {
    if (file.endsWith(".cbor")) return decodeGenesis(bytes);
    let value: unknown;
    try {
      value = JSON.parse(bytes.toString("utf8"));
    } catch (cause) {
      throw new HanseError("GENESIS_INVALID", "malformed", "not JSON", { cause });
    }
    return genesisFromJson(value);
  });
}

/** Needs `readyKeyBackends` before. @throws HanseError naming `keys.consensus` and the file. */
export function loadConsensusKey(config: NodeConfig): KeyPair {
  return parseFile(config.keys.consensus, "keys.consensus", (bytes) =>
    decodeKeyFile(bytes.toString("utf8")),
  );
}

/**
 * The account that signs this node's reports. Needs `readyKeyBackends` before.
 * @throws HanseError naming `keys.account` and the file.
 */
export function loadReportingAccount(config: NodeConfig): KeyPair | undefined {
  const file = config.keys.account;
  if (file === undefined) return undefined;
  return parseFile(file, "keys.account", (bytes) => decodeKeyFile(bytes.toString("utf8")));
}

function saveNote(dataDir: string, note: FolderNote): void {
  const file = join(dataDir, NOTE);
  writeFileSync(`${file}.new`, `${JSON.stringify(note, undefined, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/**
 * Makes a node's folder. `new`: of a node that has never run, with a signing state that says so.
 * `rejoin`: of a node that has run and whose folder is lost: without a signing state, so that it
 * starts in quarantine and votes only from a height at which it cannot contradict itself.
 * @throws HanseError `NODE_FOLDER_EXISTS` when there is one already.
 */
export async function createNodeFolder(
  config: NodeConfig,
  who: "new" | "rejoin" = "new",
): Promise<void> {
  await readyKeyBackends();
  const { dataDir, id } = config.node;
  const ledgerId = ledgerIdOf(loadGenesis(config));
  const { publicKey } = loadConsensusKey(config);
  if (existsSync(join(dataDir, NOTE))) {
    throw new HanseError(
      "NODE_FOLDER_EXISTS",
      "conflict",
      `node.dataDir: ${dataDir} already belongs to a node`,
      { details: { field: "node.dataDir" } },
    );
  }
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const disk = openDisk(foldersOf(config).ordering, () => {});
  try {
    if (who === "new") await createSigningState(disk, { ledgerId, publicKey });
  } finally {
    await disk.close();
  }
  saveNote(dataDir, {
    format: FORMAT,
    version: 1,
    node: id,
    ledgerId: toHex(ledgerId),
    database: false,
  });
}

/**
 * Reads the note and checks that folder, node and ledger belong together.
 * @throws HanseError `NODE_FOLDER_MISSING`, `NODE_FOLDER_CORRUPT`, `NODE_FOLDER_FOREIGN`.
 */
export function checkNodeFolder(config: NodeConfig, ledgerId: Hash): FolderNote {
  const { dataDir, id } = config.node;
  const details = { field: "node.dataDir" };
  const file = join(dataDir, NOTE);
  if (!existsSync(file)) {
    throw new HanseError(
      "NODE_FOLDER_MISSING",
      "notFound",
      `node.dataDir: ${dataDir} holds no node. If ${id} has never run, create the folder with --init. If it has run, its folder is lost: make an empty one with --rejoin, never with --init: a node that forgot its votes can split the ledger`,
      { details },
    );
  }
  let note: FolderNote;
  try {
    note = JSON.parse(readFileSync(file, "utf8")) as FolderNote;
    if (note.format !== FORMAT || note.version !== 1) throw new Error("another format");
    fromHex(note.ledgerId);
  } catch (cause) {
    throw new HanseError("NODE_FOLDER_CORRUPT", "corrupt", `${file}: cannot be read`, {
      details,
      cause,
    });
  }
  if (note.node !== id || note.ledgerId !== toHex(ledgerId)) {
    throw new HanseError(
      "NODE_FOLDER_FOREIGN",
      "conflict",
      `node.dataDir: ${dataDir} belongs to ${note.node} on ledger ${note.ledgerId.slice(0, 16)}, the configuration is of ${id} on ${toHex(ledgerId).slice(0, 16)}; check node.dataDir and ledger.genesis`,
      { details },
    );
  }
  return note;
}

/** @throws HanseError `NODE_DATABASE_MISSING` when there was an embedded database and is none. */
export function checkDatabase(config: NodeConfig, note: FolderNote): void {
  const { postgres } = foldersOf(config);
  if (!note.database || existsSync(postgres)) return;
  throw new HanseError(
    "NODE_DATABASE_MISSING",
    "corrupt",
    `${postgres}: the database of this node is gone. Restore it from a copy, or make an empty folder of this name to join anew: the record then comes from the other nodes`,
    { details: { field: "node.dataDir" } },
  );
}

/** Notes that the embedded database is there now. */
export function noteDatabase(config: NodeConfig, note: FolderNote): void {
  if (!note.database) saveNote(config.node.dataDir, { ...note, database: true });
}
