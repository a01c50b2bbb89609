import assert from "node:assert/strict";
import { test } from "node:test";
import { type Bytes, HanseError, utf8 } from "@hanse/protocol";
import fc from "fast-check";
import { parseAppPackage } from "./app-package.ts";
import { decodePackageFiles, encodePackageFiles } from "./package-file.ts";
import { compareVersions } from "./version.ts";

const manifest = { format: 1, name: "library", version: "1.2.3" };
const table = {
  name: "books",
  columns: [
    { name: "title", type: "varchar", update: "false" },
    { name: "owner", type: "number", update: 'ContractAccess("Lend")', read: "true" },
  ],
  indexes: ["owner"],
  permissions: { insert: "true", update: "true", new_column: "false" },
};

function files(parts: Readonly<Record<string, unknown>>): ReadonlyMap<string, Bytes> {
  return new Map(
    Object.entries(parts).map(([path, value]) => [
      path,
      utf8(typeof value === "string" ? value : JSON.stringify(value)),
    ]),
  );
}

const whole = {
  "hanse-app.json": { ...manifest, parameters: { fee: "5" } },
  "tables/books.json": table,
  "contracts/Lend.sim": "contract Lend { action { } }",
  "pages/start.ptl": "Div()",
  "languages/en.json": { hello: "Hello" },
  "languages/de.json": { hello: "Hallo" },
  "README.md": "read me",
};

test("a folder becomes one application", () => {
  const app = parseAppPackage(files(whole));
  assert.equal(app.name, "library");
  assert.deepEqual(
    app.tables.map((item) => item.name),
    ["books"],
  );
  assert.deepEqual(
    app.contracts.map((item) => item.name),
    ["Lend"],
  );
  assert.deepEqual(app.languages.get("hello"), { en: "Hello", de: "Hallo" });
  assert.deepEqual(app.otherFiles, ["README.md"]);
  assert.equal(app.parameters[0]?.value, "5");
});

test("the file is the same for the same files in any order, and gives them back", () => {
  const path = fc.stringMatching(/^(tables|pages)(\/[a-z0-9]{1,8}){1,2}\.json$/);
  fc.assert(
    fc.property(fc.dictionary(path, fc.uint8Array({ maxLength: 40 })), (object) => {
      const entries = Object.entries(object);
      const packed = encodePackageFiles(new Map(entries));
      assert.deepEqual(encodePackageFiles(new Map(entries.reverse())), packed);
      const back = decodePackageFiles(packed);
      assert.equal(back.size, entries.length);
      for (const [name, content] of entries) assert.deepEqual(back.get(name), content);
    }),
    { numRuns: 100 },
  );
});

test("a flipped byte of a package is refused wherever it is", () => {
  const packed = encodePackageFiles(files(whole));
  const names = [...decodePackageFiles(packed).keys()].join();
  assert.ok(!names.includes("README"));
  for (let at = 0; at < packed.length; at++) {
    const damaged = packed.slice();
    damaged[at]! ^= 1;
    let text: string | undefined;
    try {
      // A flip inside a path may give another valid path: then the application itself differs.
      text = [...decodePackageFiles(damaged).keys()].join();
    } catch (error) {
      assert.ok(error instanceof HanseError, `byte ${at}`);
    }
    if (text !== undefined) assert.notEqual(text, names);
  }
});

test("bad paths are refused", () => {
  for (const name of ["../x", "/x", "a//b", "b/c/d/e", ".hidden", "a b", ""]) {
    const path = `tables/${name}.json`;
    assert.throws(() => encodePackageFiles(new Map([[path, utf8("x")]])), {
      code: "APP_PACKAGE_PATH",
    });
  }
});

test("every mistake names file and field", () => {
  const tableWith = (change: object) => ({
    ...whole,
    "tables/books.json": { ...table, ...change },
  });
  const rows = (rule: object) => tableWith({ permissions: { ...table.permissions, rows: [rule] } });
  const cases: readonly (readonly [object, RegExp])[] = [
    [{ "README.md": "" }, /hanse-app\.json: missing/],
    [{ "hanse-app.json": "{" }, /hanse-app\.json: not JSON/],
    [{ "hanse-app.json": { ...manifest, format: 2 } }, /hanse-app\.json: format: expected 1/],
    [{ "hanse-app.json": { ...manifest, version: "1.2" } }, /hanse-app\.json: version/],
    [{ "hanse-app.json": { ...manifest, name: "A B" } }, /hanse-app\.json: name/],
    [{ "hanse-app.json": { ...manifest, contract: 1 } }, /hanse-app\.json: contract: no such key/],
    [{ "hanse-app.json": { ...manifest, parameters: { a: 1 } } }, /parameters\.a/],
    [{ ...whole, "tables/books.json": "[]" }, /tables\/books\.json: expected an object/],
    [tableWith({ name: "keys" }), /tables\/books\.json: name/],
    [tableWith({ columns: [] }), /tables\/books\.json: columns/],
    [tableWith({ columns: [{ name: "a", type: "uuid", update: "true" }] }), /columns\[0\]\.type/],
    [tableWith({ columns: [{ name: "a", type: "text" }] }), /columns\[0\]\.update/],
    [
      tableWith({ columns: [table.columns[0], table.columns[0]] }),
      /columns\[1\]\.name: there are the same columns/,
    ],
    [tableWith({ indexes: ["nope"] }), /indexes: no column 'nope'/],
    [tableWith({ permissions: { insert: "true" } }), /permissions\.update/],
    [rows({ if: "true", where: { nope: "a" } }), /rows\[0\]\.where\.nope: no such column/],
    [rows({ if: "true", where: { title: 5 } }), /rows\[0\]\.where\.title/],
    [rows({ if: "true", where: { owner: "$org" } }), /rows\[0\]\.where\.owner/],
    [rows({ if: "true", where: { title: "$Name" } }), /unknown \$Name/],
    [{ ...whole, "contracts/Give.sim": "contract Lend { }" }, /contracts\/Give\.sim/],
    [{ ...whole, "contracts/Give.sim": "func a() {}" }, /holds no contract/],
    [{ ...whole, "contracts/x/Lend.sim": "contract Lend { }" }, /'Lend' is also in/],
    [{ ...whole, "languages/english.json": {} }, /languages\/english\.json/],
    [{ ...whole, "languages/en.json": { a: 1 } }, /languages\/en\.json: a/],
  ];
  for (const [parts, message] of cases) {
    assert.throws(
      () => parseAppPackage(files(parts as Readonly<Record<string, unknown>>)),
      (error) => error instanceof HanseError && message.test(error.message),
      String(message),
    );
  }
});

test("versions compare by their numbers", () => {
  assert.ok(compareVersions("1.10.0", "1.9.9") > 0);
  assert.ok(compareVersions("1.0.0", "1.0.1") < 0);
  assert.equal(compareVersions("0.0.1", "0.0.1"), 0);
  for (const text of ["1.0", "01.0.0", "1.0.0-a", "v1.0.0", ""]) {
    assert.throws(() => compareVersions(text, "1.0.0"), { code: "APP_VERSION" });
  }
});
