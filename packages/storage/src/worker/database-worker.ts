/**
 * Entry of the database worker: it owns the connections and the state tree, so that the executing
 * thread only executes. Blocking questions have a connection and a port of their own, and never
 * wait for anything but the database: no deadlock is possible while the asker stands still.
 */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { HanseError, toHanseError } from "@hanse/protocol";
import { PAIR_HASHER } from "@hanse/state";
import type {
  AnswerMessage,
  Argument,
  CallMessage,
  CallName,
  DatabaseCalls,
  WorkerSetup,
} from "./calls.ts";
import { LedgerDatabase } from "./ledger-database.ts";
import { LedgerReader } from "./ledger-reads.ts";
import { pruneBlocks, readLowest } from "./prune-blocks.ts";
import { SqlClient, storageError } from "./sql-client.ts";

const { counter } = workerData as WorkerSetup;
const count = new Int32Array(counter);
const port = parentPort!;
let blockingPort: MessagePort | undefined;

let database: LedgerDatabase | undefined;
let reader: LedgerReader | undefined;
let blockingReader: LedgerReader | undefined;
let searcher: LedgerReader | undefined;
let queryReader: LedgerReader | undefined;
const clients: SqlClient[] = [];

type Handlers = {
  readonly [Name in CallName]: (
    argument: Argument<Name>,
    reader: LedgerReader,
  ) => ReturnType<DatabaseCalls[Name]> | Promise<ReturnType<DatabaseCalls[Name]>>;
};

/** Searches of contracts end even if the table has no index for them. */
const BLOCKING_STATEMENT_TIMEOUT_MS = 25_000;
/** Searches from outside end earlier: nothing of the ledger waits for them. */
const SEARCH_STATEMENT_TIMEOUT_MS = 5_000;
/** Queries of contracts from outside hold up the executing thread, so they end earlier still. */
const QUERY_STATEMENT_TIMEOUT_MS = 2_000;

let pruning: SqlClient | undefined;

/** Opened when first needed: an archive never does. */
async function pruningClient(): Promise<SqlClient> {
  if (pruning === undefined) {
    pruning = await SqlClient.connect(database!.url, ["set jit = off"]);
    clients.push(pruning);
  }
  return pruning;
}

const handlers: Handlers = {
  async open({ url, ledgerId }) {
    database = new LedgerDatabase(url, ledgerId);
    const opened = await database.open();
    const read = await SqlClient.connect(url, ["set jit = off"]);
    const blocking = await SqlClient.connect(url, [
      "set jit = off",
      `set statement_timeout = ${BLOCKING_STATEMENT_TIMEOUT_MS}`,
    ]);
    const search = await SqlClient.connect(url, [
      "set jit = off",
      "set default_transaction_read_only = on",
      `set statement_timeout = ${SEARCH_STATEMENT_TIMEOUT_MS}`,
    ]);
    const query = await SqlClient.connect(url, [
      "set jit = off",
      "set default_transaction_read_only = on",
      `set statement_timeout = ${QUERY_STATEMENT_TIMEOUT_MS}`,
    ]);
    clients.push(read, blocking, search, query);
    reader = new LedgerReader(read, database.schemaName);
    blockingReader = new LedgerReader(blocking, database.schemaName);
    searcher = new LedgerReader(search, database.schemaName);
    queryReader = new LedgerReader(query, database.schemaName);
    const lowest = await readLowest(read, database.schemaName);
    return { ...opened, backends: { stateTree: PAIR_HASHER }, lowest };
  },
  apply: ({ height, changes }) => database!.apply(height, changes),
  commit: (row) => database!.commit(row),
  saveProof: ({ height, proof }) => database!.saveProof(height, proof),
  loadRows: (changes) => database!.loadRows(changes),
  loadBlocks: (rows) => database!.loadBlocks(rows),
  finishLoading: () => database!.finishLoading(),
  holdSnapshot: (height) => database!.holdSnapshot(height),
  releaseSnapshot: () => database!.releaseSnapshot(),
  prove: (keys) => database!.prove(keys),
  treeSize: () => database!.treeSize(),
  async close(how) {
    await database?.close(how);
    for (const client of clients) await client.close();
  },
  rows: ({ schema, keys }, from) => from.rows(schema, keys),
  find: ({ schema, query }, from) => from.find(schema, query),
  async search({ schema, query }) {
    try {
      return await searcher!.find(schema, query);
    } catch (thrown) {
      if (!isStatementTimeout(thrown)) throw thrown;
      throw new HanseError(
        "STORAGE_SEARCH_TIMEOUT",
        "rejected",
        `the search took longer than ${SEARCH_STATEMENT_TIMEOUT_MS / 1000} s: select or order by the primary key or an indexed column`,
        { details: { table: schema.name } },
      );
    }
  },
  count: ({ schema, query }, from) => from.count(schema, query),
  entries: (refs, from) => from.entries(refs),
  range: ({ namespace, from: first, to, limit }, from) => from.range(namespace, first, to, limit),
  blocks: ({ from: first, to, bytesMax }, from) => from.blocks(first, to, bytesMax),
  header: (height, from) => from.header(height),
  prunedHeight: (id, from) => from.prunedHeight(id),
  async prune(below) {
    await database!.settleTree();
    return await pruneBlocks(await pruningClient(), database!.schemaName, below);
  },
  outcomes: (height, from) => from.outcomes(height),
  outcome: ({ height, index }, from) => from.outcome(height, index),
  views: (height, from) => from.views(height),
  places: (ids, from) => from.places(ids),
  recentIds: ({ since, limit }, from) => from.recentIds(since, limit),
  history: ({ table, key, schema, limit, beforeHeight }, from) =>
    from.history(table, key, schema, {
      limit,
      ...(beforeHeight === undefined ? {} : { beforeHeight }),
    }),
  genesis: (_, from) => from.genesis(),
  async verifyIntegrity() {
    // A connection of its own: the scan is one long transaction.
    const client = await SqlClient.connect(database!.url, ["set jit = off"]);
    try {
      return await new LedgerReader(client, database!.schemaName).verifyIntegrity();
    } finally {
      await client.close();
    }
  },
};

/** Cancelled by the statement timeout of its connection. */
function isStatementTimeout(thrown: unknown): boolean {
  return (thrown as { code?: string } | undefined)?.code === "57014";
}

function queryTimeout(): HanseError {
  return new HanseError(
    "STORAGE_QUERY_TIMEOUT",
    "rejected",
    `a search of the query took longer than ${QUERY_STATEMENT_TIMEOUT_MS / 1000} s: select by the primary key or an indexed column`,
  );
}

async function answer({ id, name, argument, blocking, outside }: CallMessage): Promise<void> {
  let message: AnswerMessage;
  try {
    if (database === undefined && name !== "open" && name !== "close") {
      throw new HanseError("STORAGE_CLOSED", "unavailable", "the store is not open");
    }
    const handler = handlers[name] as (argument: unknown, reader: LedgerReader) => unknown;
    const from = outside === true ? queryReader! : blocking ? blockingReader! : reader!;
    message = { id, value: await handler(argument, from) };
  } catch (thrown) {
    const error =
      outside === true && isStatementTimeout(thrown)
        ? queryTimeout()
        : thrown instanceof HanseError || !isDatabaseError(thrown)
          ? toHanseError(thrown)
          : storageError(thrown, `reading (${name})`);
    const { code, kind, details } = error;
    message = { id, error: { code, kind, message: error.message, details } };
  }
  const transfer = memoryOf(name, message);
  if (!blocking) {
    port.postMessage(message, transfer);
    return;
  }
  blockingPort!.postMessage(message, transfer);
  Atomics.add(count, 0, 1);
  Atomics.notify(count, 0);
}

/** Packed rows move to the asker; anything else is copied. */
function memoryOf(name: CallName, message: AnswerMessage): ArrayBuffer[] {
  const isRows = name === "rows" || name === "find" || name === "search";
  if (!isRows || !("value" in message)) return [];
  const { buffer, byteLength } = message.value as Uint8Array;
  return byteLength * 2 > buffer.byteLength ? [buffer as ArrayBuffer] : [];
}

function isDatabaseError(thrown: unknown): boolean {
  return (
    thrown instanceof Error && ("code" in thrown || /Connection|terminated/.test(thrown.message))
  );
}

port.on("message", (message: CallMessage | { readonly blockingPort: MessagePort }) => {
  if ("blockingPort" in message) blockingPort = message.blockingPort;
  else void answer(message);
});
