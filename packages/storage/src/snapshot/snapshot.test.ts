/**
 * Goal: a snapshot written while blocks go on holds exactly the state of its height, is the same on
 * every node, and a store loaded from it answers and goes on as the one it came from; whatever is
 * bent is refused and leaves nothing behind. Method: a real PostgreSQL cluster.
 */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import test, { before } from "node:test";
import {
  isChunk,
  type SnapshotContent,
  type SnapshotManifest,
  snapshotIdOf,
  verifySnapshotManifest,
} from "@hanse/ordering";
import {
  decodeBlock,
  decodeFinalityProof,
  encodeFinalityProof,
  HanseError,
  type Hash,
  readyKeyBackends,
  sha256,
  toHex,
  utf8,
  ZERO_HASH,
} from "@hanse/protocol";
import type { StateOverlay, TableSchema } from "@hanse/state";
import fc from "fast-check";
import pg from "pg";
import type { PostgresLedgerStore } from "../store/ledger-store.ts";
import {
  applyBlock,
  linkBlock,
  type SampleLink,
  type SampleValidator,
  sampleLedgerId,
  sampleTransaction,
  sampleValidator,
  seedStore,
} from "../testing/sample-chain.ts";
import { useTestCluster } from "../testing/test-cluster.ts";
import { type LoadSnapshotOptions, loadSnapshot } from "./load-snapshot.ts";
import { encodeItem, ItemReader, type SnapshotItem } from "./snapshot-items.ts";
import { CONTENT_FILE, chunkFile } from "./write-snapshot.ts";

const cluster = useTestCluster("snapshot");
let validator: SampleValidator;

before(async () => {
  await readyKeyBackends();
  validator = sampleValidator();
});
/** Block times are 1 000, 2 000, …: above height 6 no transaction can come again. */
const VALID_UNTIL = 6_500;

const accounts: TableSchema = {
  name: "1_accounts",
  columns: [
    { name: "id", type: "int" },
    { name: "owner", type: "text" },
    { name: "amount", type: "money" },
    { name: "data", type: "bytes" },
    { name: "rate", type: "float" },
  ],
  indexes: ["owner"],
};
const names: TableSchema = {
  name: "1_names",
  columns: [
    { name: "name", type: "text" },
    { name: "open", type: "bool" },
  ],
  indexes: [],
};

/** A chain whose blocks each touch rows, entries and schemas. */
class Chain {
  readonly store: PostgresLedgerStore;
  readonly ledgerId: Hash;
  link: SampleLink;
  height = 0;

  constructor(store: PostgresLedgerStore, ledgerId: Hash, stateRoot: Hash) {
    this.store = store;
    this.ledgerId = ledgerId;
    this.link = {
      hash: ledgerId,
      stateRoot,
      resultsRoot: ZERO_HASH,
      certificate: new Uint8Array(0),
    };
  }

  async block(): Promise<Hash> {
    const height = ++this.height;
    const step = (i: number) => (state: StateOverlay) => {
      const id = state.nextId("1_accounts");
      const blob = sha256(utf8(`${height}/${i}`));
      state.insert("1_accounts", [id, `ow"ner ${i}`, "1.5", blob, i === 0 ? null : 0.1 * i]);
      if (id > 2n) state.update("1_accounts", id - 2n, { amount: String(height) });
      if (id % 5n === 0n) state.remove("1_accounts", id - 4n);
      state.insert("1_names", [`n${height}/${i}`, i % 2 === 0]);
      state.putKv("docs", Uint8Array.of(height % 3, i), utf8(`value ${height}`));
    };
    const sample = await applyBlock(this.store, height, [step(0), step(1), step(2)], {
      ledgerId: this.ledgerId,
      validUntil: VALID_UNTIL,
    });
    const { commit, link } = linkBlock(sample, this.link, validator);
    await this.store.commit(commit);
    this.link = link;
    return sample.transactions[0]!.id;
  }
}

const schemaOf = (ledgerId: Hash) => `ledger_${toHex(ledgerId).slice(0, 16)}`;

async function inDatabase(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: cluster.postgres.url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

const dropLedger = (ledgerId: Hash) => inDatabase(`drop schema "${schemaOf(ledgerId)}" cascade`);

async function openChain(name: string): Promise<Chain> {
  const ledgerId = sampleLedgerId(name);
  const store = await cluster.open(ledgerId);
  const stateRoot = await seedStore(store, ledgerId, (state) => {
    state.createTable(accounts);
    state.createTable(names);
  });
  return new Chain(store, ledgerId, stateRoot);
}

/** The manifest of a snapshot whose next block is in the store. */
async function completeManifest(chain: Chain, content: SnapshotContent): Promise<SnapshotManifest> {
  const own = (await chain.store.block(content.height))!;
  const above = (await chain.store.block(content.height + 1))!;
  const { header } = decodeBlock(above.bytes);
  return {
    content,
    chain: { sets: [validator.set], headers: [decodeFinalityProof(above.certificate, header)] },
    proof: own.certificate,
  };
}

function loadOptions(
  manifest: SnapshotManifest,
  folder: string,
  over: Partial<LoadSnapshotOptions> = {},
): LoadSnapshotOptions {
  const { ledgerId } = manifest.content;
  return {
    url: cluster.postgres.url,
    ledgerId,
    manifest,
    genesis: utf8("genesis"),
    chunk: async (index) => fs.promises.readFile(path.join(folder, chunkFile(index))),
    describe: (bytes) => {
      const { id, sender, validUntil } = sampleTransaction(ledgerId, bytes, VALID_UNTIL);
      return { id, sender, validUntil };
    },
    ...over,
  };
}

test("written while blocks go on, loaded elsewhere: the same state, which goes on the same way", async () => {
  const chain = await openChain("whole");
  const folder = path.join(cluster.dir, "whole");
  const writing = chain.store.writeSnapshot({ height: 6, folder });
  const ids: Hash[] = [];
  for (let i = 0; i < 10; i++) ids.push(await chain.block());
  const content = await writing;
  assert.equal(content.height, 6);
  assert.deepEqual(fs.readdirSync(folder), ["6"]);
  for (const index of content.chunkHashes.keys()) {
    assert.ok(isChunk(content, index, fs.readFileSync(path.join(folder, "6", chunkFile(index)))));
  }
  const manifest = await completeManifest(chain, content);
  const trust = { ledgerId: chain.ledgerId, set: validator.set, height: 1 };
  assert.deepEqual(verifySnapshotManifest(manifest, trust), { ok: true });

  // The blocks above, to be executed again on what was loaded.
  const sixth = (await chain.store.block(6))!;
  const tenth = await chain.store.info();
  const expected = await chain.store.search({ table: "1_accounts", limit: 100 });
  await chain.store.close();
  // A ledger that is further already stays as it is.
  assert.equal(await loadSnapshot(loadOptions(manifest, path.join(folder, "6"))), false);
  await dropLedger(chain.ledgerId);

  assert.equal(await loadSnapshot(loadOptions(manifest, path.join(folder, "6"))), true);
  const store = await cluster.open(chain.ledgerId);
  const info = await store.info();
  assert.equal(info.height, 6);
  assert.equal(toHex(info.stateRoot), toHex(content.stateRoot));
  assert.equal(toHex(info.resultsRoot), toHex(content.resultsRoot));
  assert.equal(toHex(info.blockHash), toHex(sixth.hash));
  assert.deepEqual((await store.block(6))!.certificate, sixth.certificate);
  assert.equal(toHex((await store.verifyIntegrity()).root), toHex(content.stateRoot));
  // Transactions that could be sent again are known, with their outcomes.
  assert.equal((await store.transaction(ids[5]!))?.height, 6);
  assert.deepEqual(await store.committedOf([ids[4]!, ids[9]!]), [true, false]);
  assert.deepEqual(await store.history("1_accounts", 1n, { limit: 5 }), []);

  const again = new Chain(store, chain.ledgerId, ZERO_HASH);
  again.height = 6;
  again.link = {
    hash: info.blockHash,
    stateRoot: info.stateRoot,
    resultsRoot: info.resultsRoot,
    certificate: sixth.certificate,
  };
  for (let i = 0; i < 4; i++) await again.block();
  assert.equal(toHex((await store.info()).stateRoot), toHex(tenth.stateRoot));
  assert.deepEqual(await store.search({ table: "1_accounts", limit: 100 }), expected);
  assert.equal((await store.history("1_accounts", 28n, { limit: 5 })).length > 0, true);
  await store.close();
  const reopened = await cluster.open(chain.ledgerId);
  assert.equal(toHex((await reopened.info()).stateRoot), toHex(tenth.stateRoot));
  await reopened.close();
});

test("a node that joined by a snapshot writes the same snapshot as the others", async () => {
  const chain = await openChain("same");
  const folder = path.join(cluster.dir, "same");
  const early = chain.store.writeSnapshot({ height: 3, folder });
  for (let i = 0; i < 4; i++) await chain.block();
  const third = await early;
  const manifest = await completeManifest(chain, third);
  const later = chain.store.writeSnapshot({ height: 8, folder });
  for (let i = 0; i < 5; i++) await chain.block();
  const eighth = await later;
  const link = { ...chain.link };
  const { certificate } = (await chain.store.block(3))!;
  await chain.store.close();
  await dropLedger(chain.ledgerId);

  await loadSnapshot(loadOptions(manifest, path.join(folder, "3")));
  const store = await cluster.open(chain.ledgerId);
  const info = await store.info();
  const joined = new Chain(store, chain.ledgerId, ZERO_HASH);
  joined.height = 3;
  joined.link = {
    hash: info.blockHash,
    stateRoot: info.stateRoot,
    resultsRoot: info.resultsRoot,
    certificate,
  };
  const own = store.writeSnapshot({ height: 8, folder: path.join(cluster.dir, "joined") });
  for (let i = 0; i < 6; i++) await joined.block();
  assert.equal(toHex(joined.link.stateRoot), toHex(link.stateRoot));
  assert.equal(toHex(snapshotIdOf(await own)), toHex(snapshotIdOf(eighth)));
  await store.close();
});

test("what does not hold is refused, and the next start finds an empty ledger", async () => {
  const chain = await openChain("bent");
  const folder = path.join(cluster.dir, "bent");
  const writing = chain.store.writeSnapshot({ height: 3, folder });
  for (let i = 0; i < 4; i++) await chain.block();
  const content = await writing;
  const manifest = await completeManifest(chain, content);
  await chain.store.close();
  await dropLedger(chain.ledgerId);
  const at = path.join(folder, "3");
  const chunk = fs.readFileSync(path.join(at, chunkFile(0)));

  /** A content of other bytes whose own hashes fit. */
  async function refuses(bytes: Uint8Array, reason: RegExp): Promise<void> {
    const bent: SnapshotManifest = {
      ...manifest,
      content: { ...content, bytes: bytes.length, chunkHashes: [sha256(bytes)] },
    };
    await assert.rejects(
      loadSnapshot(loadOptions(bent, at, { chunk: async () => bytes })),
      (error: unknown) =>
        error instanceof HanseError && (reason.test(error.message) || reason.test(error.code)),
      String(reason),
    );
  }
  const flipped = Uint8Array.from(chunk);
  flipped[chunk.indexOf("ner 1")]! ^= 1;
  await assert.rejects(
    loadSnapshot(loadOptions(manifest, at, { chunk: async () => flipped })),
    /chunk 0 is another one/,
  );
  await refuses(flipped, /have root/);
  await refuses(chunk.subarray(0, chunk.length - 3), /ends inside an item/);
  const items = [...new ItemReader().push(chunk)];
  const encode = (list: readonly SnapshotItem[]) => Buffer.concat(list.map(encodeItem));
  await refuses(encode(items.filter((item) => item.t !== "entry")), /have root/);
  await refuses(encode(items.slice(0, -1)), /block 3 is another one/);
  await refuses(encode([...items.slice(1), items[0]!]), /row before any table/);
  const last = items.at(-1)!;
  assert.ok(last.t === "block");
  await refuses(
    encode([...items.slice(0, -1), { ...last, outcomes: last.outcomes.slice(1) }]),
    /outcomes of 3/,
  );
  await refuses(
    encode([...items.slice(0, -1), { ...last, views: [{ engine: "evm", bytes: utf8("x") }] }]),
    /outcomes of 3/,
  );
  await assert.rejects(
    loadSnapshot(
      loadOptions({ ...manifest, proof: encodeFinalityProof(manifest.chain.headers[0]!) }, at),
    ),
    /proof of block 3/,
  );

  const store = await cluster.open(chain.ledgerId);
  const info = await store.info();
  assert.deepEqual([info.height, toHex(info.stateRoot)], [0, toHex(ZERO_HASH)]);
  assert.deepEqual(store.state.tables(), []);
  await store.close();
  // The whole one is still welcome.
  await loadSnapshot(loadOptions(manifest, at));
  const loaded = await cluster.open(chain.ledgerId);
  assert.equal((await loaded.info()).height, 3);
  await loaded.close();
});

test("a database that is not what was committed makes no snapshot; one at a time, ahead of its height", async () => {
  const chain = await openChain("damaged");
  const folder = path.join(cluster.dir, "damaged");
  for (let i = 0; i < 2; i++) await chain.block();
  await assert.rejects(chain.store.writeSnapshot({ height: 2, folder }), {
    code: "STORAGE_SNAPSHOT",
  });
  await inDatabase(
    `update "${schemaOf(chain.ledgerId)}"."1_accounts" set amount = 77 where id = 3`,
  );
  const writing = chain.store.writeSnapshot({ height: 3, folder });
  await assert.rejects(chain.store.writeSnapshot({ height: 4, folder }), {
    code: "STORAGE_SNAPSHOT",
  });
  await chain.block();
  await assert.rejects(writing, /have not the root/);
  assert.deepEqual(fs.readdirSync(folder), []);
  // Closing before the height comes.
  const never = assert.rejects(chain.store.writeSnapshot({ height: 9, folder }), {
    code: "STORAGE_CLOSED",
  });
  await chain.store.close();
  await never;
  assert.ok(!fs.existsSync(path.join(folder, "3", CONTENT_FILE)));
});

test("items come out of any cutting as they went in", () => {
  const bytes = fc.uint8Array({ maxLength: 40 });
  const plain = { noNullPrototype: true };
  const item: fc.Arbitrary<SnapshotItem> = fc.oneof(
    fc.record({ t: fc.constant("table" as const), name: fc.string(), schema: bytes }, plain),
    fc.record(
      {
        t: fc.constant("row" as const),
        key: fc.oneof(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), fc.string(), bytes),
        value: bytes,
      },
      plain,
    ),
    fc.record(
      {
        t: fc.constant("entry" as const),
        namespace: fc.string(),
        key: bytes,
        value: bytes,
      },
      plain,
    ),
    fc.record(
      {
        t: fc.constant("block" as const),
        block: bytes,
        outcomes: fc.array(bytes, { maxLength: 3 }),
        views: fc.array(fc.record({ engine: fc.string(), bytes }, plain), { maxLength: 2 }),
      },
      plain,
    ),
  );
  fc.assert(
    fc.property(
      fc.array(item, { maxLength: 12 }),
      fc.integer({ min: 1, max: 50 }),
      (items, cut) => {
        const all = Buffer.concat(items.map(encodeItem));
        const reader = new ItemReader();
        const found: SnapshotItem[] = [];
        for (let at = 0; at < all.length; at += cut) {
          found.push(...reader.push(all.subarray(at, at + cut)));
        }
        reader.end();
        assert.deepEqual(found, items);
      },
    ),
  );
});
