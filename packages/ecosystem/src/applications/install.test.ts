import assert from "node:assert/strict";
import { test } from "node:test";
import type { PublicKey } from "@hanse/protocol";
import { HanseError, sha256, utf8 } from "@hanse/protocol";
import { createMemoryState, createOverlay, type StateOverlay } from "@hanse/state";
import { CatalogCache } from "../catalog/catalog.ts";
import { seedEcosystem } from "../genesis/seed.ts";
import { columnOf } from "../tables/rows.ts";
import { parseAppPackage } from "./app-package.ts";
import { type InstallContext, installApplication, upgradeApplication } from "./install.ts";

const key = (byte: number): PublicKey => ({
  algorithm: "ed25519",
  bytes: new Uint8Array(32).fill(byte),
});

function seeded(): StateOverlay {
  const overlay = createOverlay(createMemoryState(), 0);
  overlay.begin(0);
  seedEcosystem(overlay, {
    network: "test",
    time: 1_700_000_000_000,
    accounts: [
      { name: "local", org: "a", key: key(1), roles: ["admin"] },
      { name: "root", org: "b", key: key(2), roles: ["network-admin"] },
    ],
  });
  return overlay;
}

const context: InstallContext = {
  ecosystem: 1,
  keyId: 7n,
  time: 1_700_000_001_000,
  validateCondition: () => {},
  allows: () => true,
};

interface Version {
  readonly version: string;
  readonly columns?: readonly string[];
  readonly contracts?: readonly string[];
  readonly type?: string;
  readonly name?: string;
  readonly parameters?: object;
}

function library(version: Version) {
  const { columns = ["title"], contracts = ["Lend"], type = "varchar", name = "library" } = version;
  const files: Record<string, unknown> = {
    "hanse-app.json": {
      format: 1,
      name,
      version: version.version,
      parameters: version.parameters ?? { fee: "5" },
    },
    "tables/books.json": {
      name: "books",
      columns: columns.map((column) => ({ name: column, type, update: "true" })),
      indexes: columns.slice(-1),
      permissions: { insert: "true", update: "true", new_column: "false" },
    },
  };
  for (const contract of contracts) {
    files[`contracts/${contract}.sim`] = `contract ${contract} { } // ${version.version}`;
  }
  return parseAppPackage(
    new Map(
      Object.entries(files).map(([path, value]) => [
        path,
        utf8(typeof value === "string" ? value : JSON.stringify(value)),
      ]),
    ),
  );
}

const hash = sha256(utf8("package"));

test("genesis holds the system tables, their rights, and the network's administrator as founder", () => {
  const overlay = seeded();
  const catalog = new CatalogCache().open(overlay);
  assert.equal(
    catalog.table(overlay, "1_contracts")?.permissions.insert.kind,
    "contractConditions",
  );
  assert.equal(catalog.table(overlay, "1_nothing"), undefined);
  assert.equal(catalog.contract(overlay, 1, "MainCondition")?.full, "@1MainCondition");
  assert.match(catalog.parameter(overlay, 1, "founder_account") ?? "", /^-?\d+$/);
  const members = overlay.find({ table: "1_members", limit: 10 });
  assert.deepEqual(
    members.map((row) => columnOf(overlay.schema("1_members")!, row, "org")),
    ["a", "b"],
  );
});

test("an installed application has its table, contracts and parameters", () => {
  const overlay = seeded();
  const report = installApplication(overlay, library({ version: "1.0.0" }), hash, context);
  assert.equal(report.previousVersion, undefined);
  const catalog = new CatalogCache().open(overlay);
  assert.equal(catalog.table(overlay, "1_books")?.columns.get("title")?.type.name, "varchar");
  assert.equal(catalog.contract(overlay, 1, "Lend")?.appId, report.appId);
  assert.equal(catalog.appParameter(overlay, 1, report.appId, "fee"), "5");
  assert.throws(() => installApplication(overlay, library({ version: "2.0.0" }), hash, context), {
    code: "APP_INSTALLED",
  });
});

test("an upgrade replaces contracts, adds columns, keeps rows and parameters", () => {
  const overlay = seeded();
  installApplication(
    overlay,
    library({ version: "1.0.0", contracts: ["Lend", "Old"] }),
    hash,
    context,
  );
  overlay.insert("1_books", [1n, "Needle"]);
  const lendBefore = new CatalogCache().open(overlay).contract(overlay, 1, "Lend");
  const next = library({
    version: "1.1.0",
    columns: ["title", "shelf"],
    parameters: { fee: "6", limit: "9" },
  });
  const report = upgradeApplication(overlay, next, hash, context);
  assert.equal(report.previousVersion, "1.0.0");
  assert.deepEqual(overlay.getRow("1_books", 1n)?.values, [1n, "Needle", null]);
  assert.deepEqual(overlay.schema("1_books")?.indexes, ["title", "shelf"]);
  const catalog = new CatalogCache().open(overlay);
  assert.equal(catalog.contract(overlay, 1, "Old"), undefined);
  assert.equal(catalog.contract(overlay, 1, "Lend")?.id, lendBefore?.id);
  assert.match(catalog.contract(overlay, 1, "Lend")?.source ?? "", /1\.1\.0/);
  assert.equal(catalog.appParameter(overlay, 1, report.appId, "fee"), "5");
  assert.equal(catalog.appParameter(overlay, 1, report.appId, "limit"), "9");
  // A column that the next version no longer names keeps its data, and nobody writes it.
  upgradeApplication(overlay, library({ version: "1.2.0", columns: ["shelf"] }), hash, context);
  assert.deepEqual(overlay.getRow("1_books", 1n)?.values, [1n, "Needle", null]);
  const table = new CatalogCache().open(overlay).table(overlay, "1_books");
  assert.equal(table?.columnRights.get("title")?.update.kind, "never");
});

test("what an upgrade must not do is refused", () => {
  const overlay = seeded();
  const upgrade = (version: Version, change: Partial<InstallContext> = {}) => {
    const save = overlay.savepoint();
    try {
      upgradeApplication(overlay, library(version), hash, { ...context, ...change });
    } catch (error) {
      overlay.rollbackTo(save);
      throw error;
    }
  };
  assert.throws(() => upgrade({ version: "1.0.0" }), { code: "APP_NOT_INSTALLED" });
  installApplication(overlay, library({ version: "1.0.0" }), hash, context);
  assert.throws(() => upgrade({ version: "1.0.0" }), { code: "APP_VERSION_OLD" });
  assert.throws(() => upgrade({ version: "1.0.1", type: "number" }), { code: "APP_COLUMN_TYPE" });
  assert.throws(() => upgrade({ version: "1.0.1" }, { allows: () => false }), {
    code: "APP_DENIED",
  });
  const other = library({ version: "1.0.0", name: "other" });
  assert.throws(() => installApplication(overlay, other, hash, context), {
    code: "APP_CONFLICT",
    message: /tables\/books\.json/,
  });
});

test("who may not install, and conditions that do not compile, change nothing that stays", () => {
  const overlay = seeded();
  const save = overlay.savepoint();
  const before = new CatalogCache().open(overlay).version;
  assert.throws(
    () =>
      installApplication(overlay, library({ version: "1.0.0" }), hash, {
        ...context,
        validateCondition: (field) => {
          throw new HanseError("NEEDLE_CONDITION", "malformed", field);
        },
      }),
    { message: "hanse-app.json: conditions" },
  );
  installApplication(overlay, library({ version: "1.0.0" }), hash, context);
  const catalogs = new CatalogCache();
  assert.notEqual(catalogs.open(overlay).version, before);
  assert.ok(catalogs.open(overlay).contract(overlay, 1, "Lend"));
  overlay.rollbackTo(save);
  assert.equal(catalogs.open(overlay).version, before);
  assert.equal(catalogs.open(overlay).contract(overlay, 1, "Lend"), undefined);
});
