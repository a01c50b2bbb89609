/**
 * Loads a snapshot into a ledger's database in place of whatever was there. Nothing of it answers
 * before the whole is there and has the certified root: until then the database says that it is
 * being loaded, and the next start begins anew.
 */
import {
  bodyFromBytes,
  isChunk,
  type SnapshotContent,
  type SnapshotManifest,
} from "@hanse/ordering";
import {
  type Bytes,
  concatBytes,
  decodeFinalityProof,
  decodeKvValue,
  decodeOutcome,
  decodeRowValue,
  decodeSchemaValue,
  decodeSequenceValue,
  encodeFinalityProof,
  encodeHeader,
  equalBytes,
  HanseError,
  type Hash,
  outcomeRoot,
  type StateKey,
  sha256,
  stateKeyHash,
  stateValueHash,
  toHex,
  utf8,
  verifyFinality,
} from "@hanse/protocol";
import {
  netChanges,
  type Row,
  type StateChange,
  type TableSchema,
  validateValue,
} from "@hanse/state";
import { packList } from "../changes/byte-writer.ts";
import { quoteName } from "../rows/column-codec.ts";
import { ledgerSchemaName, tableStatements } from "../schema/ledger-tables.ts";
import { type BlockRow, BlockWriter } from "../worker/block-writer.ts";
import { compressBlock, LOADING_HEIGHT, recreateLedgerTables } from "../worker/ledger-database.ts";
import { lockLedger } from "../worker/ledger-lock.ts";
import { SqlClient, storageError } from "../worker/sql-client.ts";
import { TreeSegments } from "../worker/tree-segments.ts";
import { ItemReader, type SnapshotItem } from "./snapshot-items.ts";

const ROWS_PER_WRITE = 5_000;
const BLOCKS_PER_WRITE = 64;
const LEAVES_PER_FOLD = 20_000;

/** What a block's row holds of each of its transactions. */
export interface TransactionFacts {
  readonly id: Hash;
  readonly sender: Hash;
  /** Milliseconds since 1970. */
  readonly validUntil: number;
}

export interface LoadSnapshotOptions {
  readonly url: string;
  readonly ledgerId: Hash;
  /** Verified: `verifySnapshotManifest`. */
  readonly manifest: SnapshotManifest;
  readonly chunk: (index: number) => Promise<Bytes>;
  /** The encoded genesis document of the ledger. */
  readonly genesis: Bytes;
  readonly describe: (transaction: Bytes) => TransactionFacts;
}

/** The content is not what the manifest promises: whoever made it lied, or a disk did. */
function wrong(what: string): never {
  throw new HanseError("STORAGE_SNAPSHOT", "corrupt", `the snapshot does not hold: ${what}`);
}

/** Height of what is there; below 0 when nothing is that could answer. */
async function readHeight(client: SqlClient, ledgerId: Hash): Promise<number> {
  const schemaName = ledgerSchemaName(ledgerId);
  const { rows } = await client.query("select 1 from pg_namespace where nspname = $1", [
    schemaName,
  ]);
  if (rows.length === 0) return LOADING_HEIGHT;
  const { rows: meta } = await client.query(`select height from ${quoteName(schemaName)}."$meta"`);
  return Number(meta[0]?.[0] ?? LOADING_HEIGHT);
}

/**
 * @returns false when the ledger there is as far already, and was left as it is.
 * @throws HanseError `STORAGE_SNAPSHOT` when the content is not the certified one; `STORAGE_*` of
 * the database. Either way nothing but an unloaded ledger is left.
 */
export async function loadSnapshot(options: LoadSnapshotOptions): Promise<boolean> {
  const client = await SqlClient.connect(options.url, [
    "set jit = off",
    // Nothing is lost that could not be loaded again, and the last commit waits for all before.
    "set synchronous_commit = off",
  ]);
  try {
    await lockLedger(client, options.ledgerId);
    const { height } = options.manifest.content;
    if ((await readHeight(client, options.ledgerId)) >= height) return false;
    await recreateLedgerTables(client, options.ledgerId, LOADING_HEIGHT);
    await new SnapshotLoader(client, options).load();
    return true;
  } catch (error) {
    throw storageError(error, "loading a snapshot");
  } finally {
    await client.close();
  }
}

class SnapshotLoader {
  readonly #client: SqlClient;
  readonly #options: LoadSnapshotOptions;
  readonly #content: SnapshotContent;
  readonly #schemaName: string;
  readonly #schemas = new Map<string, TableSchema>();
  readonly #writer: BlockWriter;
  readonly #segments = new TreeSegments();
  #keys: Hash[] = [];
  #values: Hash[] = [];
  #table: TableSchema | undefined;
  #rows: Row[] = [];
  #entries: StateChange[] = [];
  #blocks: BlockRow[] = [];
  /** The block read last: the next one links to it and tells its results. */
  #below: { readonly row: BlockRow; readonly hash: Hash; readonly results: Hash } | undefined;

  constructor(client: SqlClient, options: LoadSnapshotOptions) {
    this.#client = client;
    this.#options = options;
    this.#content = options.manifest.content;
    this.#schemaName = ledgerSchemaName(options.ledgerId);
    this.#writer = new BlockWriter(client, this.#schemaName, this.#schemas, { part: 0, count: 0 });
  }

  async load(): Promise<void> {
    const reader = new ItemReader();
    const { chunkHashes } = this.#content;
    for (const index of chunkHashes.keys()) {
      const chunk = await this.#options.chunk(index);
      if (!isChunk(this.#content, index, chunk)) wrong(`chunk ${index} is another one`);
      for (const item of reader.push(chunk)) await this.#take(item);
    }
    reader.end();
    await this.#endTable();
    await this.#flushEntries();
    this.#fold();
    const { root, size } = this.#segments.tree;
    if (!equalBytes(root, this.#content.stateRoot) || size !== this.#content.leaves) {
      wrong(
        `its ${size} leaves have root ${toHex(root).slice(0, 16)}, the ledger certified ${toHex(this.#content.stateRoot).slice(0, 16)}`,
      );
    }
    await this.#endBlocks();
    await this.#finish(root);
  }

  async #take(item: SnapshotItem): Promise<void> {
    switch (item.t) {
      case "table":
        await this.#endTable();
        await this.#beginTable(item);
        return;
      case "row": {
        const table = this.#table ?? wrong("a row before any table");
        const { values, height } = decodeRowValue(table.columns, item.value);
        for (const [i, column] of table.columns.entries()) {
          validateValue(table.name, column, values[i] ?? null);
        }
        this.#leaf({ kind: "row", table: table.name, key: item.key }, item.value);
        this.#rows.push({ values, height });
        if (this.#rows.length >= ROWS_PER_WRITE) await this.#flushRows();
        return;
      }
      case "entry": {
        const { namespace, key, value } = item;
        this.#leaf({ kind: "kv", namespace, key }, value);
        const after = { key, ...decodeKvValue(value) };
        this.#entries.push({ kind: "kv", namespace, key, before: undefined, after, index: 0 });
        if (this.#entries.length >= ROWS_PER_WRITE) await this.#flushEntries();
        return;
      }
      case "block":
        await this.#takeBlock(item);
    }
  }

  #leaf(key: StateKey, value: Bytes): void {
    this.#keys.push(stateKeyHash(key));
    this.#values.push(stateValueHash(value));
    if (this.#keys.length >= LEAVES_PER_FOLD) this.#fold();
  }

  #fold(): void {
    if (this.#keys.length === 0) return;
    this.#segments.update(this.#content.height, {
      keyHashes: concatBytes(...this.#keys),
      valueHashes: concatBytes(...this.#values),
    });
    this.#keys = [];
    this.#values = [];
  }

  async #beginTable(item: Extract<SnapshotItem, { t: "table" }>): Promise<void> {
    if (this.#schemas.has(item.name)) wrong(`table ${item.name} stands twice`);
    const schema: TableSchema = { name: item.name, ...decodeSchemaValue(item.schema) };
    this.#leaf({ kind: "schema", table: item.name }, item.schema);
    let highest = 0n;
    if (item.sequence !== undefined) {
      highest = decodeSequenceValue(item.sequence) - 1n;
      this.#leaf({ kind: "sequence", table: item.name }, item.sequence);
    }
    this.#table = schema;
    this.#schemas.set(item.name, schema);
    const bare = { ...schema, indexes: [] };
    for (const text of tableStatements(this.#schemaName, undefined, bare)) {
      await this.#client.run(text);
    }
    await this.#client.query(
      `insert into ${quoteName(this.#schemaName)}."$schemas" (name, schema, highest) values ($1, $2, $3)`,
      [item.name, JSON.stringify(schema), String(highest)],
    );
  }

  /** Indexes are made over the rows that are there: faster than row by row. */
  async #endTable(): Promise<void> {
    await this.#flushRows();
    const schema = this.#table;
    this.#table = undefined;
    if (schema === undefined) return;
    const bare = { ...schema, indexes: [] };
    for (const text of tableStatements(this.#schemaName, bare, schema))
      await this.#client.run(text);
  }

  async #flushRows(): Promise<void> {
    const list = this.#rows;
    if (list.length === 0) return;
    this.#rows = [];
    await this.#writer.writeLoaded({ rows: { schema: this.#table!, list } });
  }

  async #flushEntries(): Promise<void> {
    const list = this.#entries;
    if (list.length === 0) return;
    this.#entries = [];
    await this.#writer.writeLoaded({ entries: netChanges(list) });
  }

  async #flushBlocks(): Promise<void> {
    const blocks = this.#blocks;
    if (blocks.length === 0) return;
    this.#blocks = [];
    await this.#writer.writeLoaded({ blocks });
  }

  async #takeBlock(item: Extract<SnapshotItem, { t: "block" }>): Promise<void> {
    const { block, hash } = bodyFromBytes(item.block);
    const { header, transactions, lastCert } = block;
    const below = this.#below;
    const expected = below === undefined ? this.#content.lowestBlock : below.row.height + 1;
    if (header.height !== expected) wrong(`block ${header.height} instead of ${expected}`);
    if (below !== undefined) {
      if (!equalBytes(header.parentHash, below.hash)) wrong(`block ${expected} is not linked`);
      if (!equalBytes(header.prevResultsRoot, below.results)) wrong(`outcomes of ${expected - 1}`);
      // The block above carries its certificate.
      await this.#keep({ ...below.row, certificate: lastCert });
    }
    const outcomes = item.outcomes.map(decodeOutcome);
    if (outcomes.length !== transactions.length) wrong(`outcomes of ${expected}`);
    const views = item.views.map(({ engine, bytes }) => ({ engine, hash: sha256(bytes), bytes }));
    const count = transactions.length;
    const ids = new Uint8Array(count * 32);
    const senders = new Uint8Array(count * 32);
    const validUntil = new Uint8Array(count * 8);
    const times = new DataView(validUntil.buffer);
    let validUntilMax = 0;
    for (const [i, bytes] of transactions.entries()) {
      const facts = this.#options.describe(bytes);
      ids.set(facts.id, i * 32);
      senders.set(facts.sender, i * 32);
      times.setBigInt64(i * 8, BigInt(facts.validUntil));
      if (facts.validUntil > validUntilMax) validUntilMax = facts.validUntil;
    }
    const none = new Uint8Array(0);
    this.#below = {
      hash,
      results: outcomeRoot(outcomes, views),
      row: compressBlock({
        height: header.height,
        hash,
        time: header.time,
        validUntilMax,
        transactions: count,
        ids,
        senders,
        validUntil,
        block: item.block,
        certificate: none,
        outcomes: packList(item.outcomes),
        views: packList(views.flatMap((view) => [utf8(view.engine), view.hash, view.bytes])),
        stateRoot: none,
        resultsRoot: none,
      }),
    };
  }

  async #keep(row: BlockRow): Promise<void> {
    this.#blocks.push(row);
    if (this.#blocks.length >= BLOCKS_PER_WRITE) await this.#flushBlocks();
  }

  /** The top block is the certified one; its own proof came with the manifest. */
  async #endBlocks(): Promise<void> {
    const { manifest, ledgerId } = this.#options;
    const top = this.#below;
    if (top === undefined || !equalBytes(top.hash, this.#content.blockHash)) {
      wrong(`block ${this.#content.height} is another one`);
    }
    if (!equalBytes(top.results, this.#content.resultsRoot)) {
      wrong(`outcomes of ${this.#content.height}`);
    }
    const { header } = bodyFromBytes(top.row.block).block;
    const set = manifest.chain.sets.find((item) => equalBytes(item.hash, header.validatorsHash));
    const verdict =
      set === undefined
        ? undefined
        : verifyFinality(decodeFinalityProof(manifest.proof, header), { ledgerId, set });
    if (verdict?.ok !== true) {
      wrong(`proof of block ${header.height}: ${verdict?.reason ?? "its set is not in the chain"}`);
    }
    await this.#keep({ ...top.row, certificate: manifest.proof });
    await this.#flushBlocks();
  }

  async #finish(root: Hash): Promise<void> {
    const { height, blockHash, resultsRoot } = this.#content;
    const schema = quoteName(this.#schemaName);
    const meta = `${schema}."$meta"`;
    // What led here leads others here as well.
    for (const proof of this.#options.manifest.chain.headers.slice(0, -1)) {
      await this.#client.query(
        `insert into ${schema}."$headers" (height, header, certificate) values ($1, $2, $3)`,
        [
          proof.header.height,
          Buffer.from(encodeHeader(proof.header)),
          Buffer.from(encodeFinalityProof(proof)),
        ],
      );
    }
    await this.#writer.writeTree(this.#segments.due(height, true), root);
    await this.#client.run(`analyze ${meta}`);
    await this.#client.run("set synchronous_commit = on");
    await this.#client.query(
      `update ${meta} set height = $1, results_root = $2, block_hash = $3, genesis = $4, index_part = $5, index_count = $6`,
      [
        height,
        Buffer.from(resultsRoot),
        Buffer.from(blockHash),
        Buffer.from(this.#options.genesis),
        this.#writer.index.part,
        this.#writer.index.count,
      ],
    );
  }
}
