import assert from "node:assert/strict";
import { test } from "node:test";
import { HanseError } from "@hanse/protocol";
import {
  resolveContractName,
  resolveTableName,
  validateContractName,
  validateNewColumnName,
  validateNewTableName,
} from "./names.ts";

test("tables resolve to their ecosystem, shared ones to ecosystem 1", () => {
  assert.equal(resolveTableName("accounts", 7).full, "7_accounts");
  assert.equal(resolveTableName("@5accounts", 7).full, "5_accounts");
  assert.equal(resolveTableName("pages", 7).full, "1_pages");
  assert.equal(resolveTableName("Pages", 7).full, "1_pages");
  assert.equal(resolveTableName("@1pages", 7).full, "1_pages");
  // Reads look another ecosystem's shared table up by its own name, writes reach the shared one.
  assert.equal(resolveTableName("@5pages", 1).full, "5_pages");
  assert.deepEqual(resolveTableName("@5pages", 1, true), {
    ecosystem: 5,
    name: "pages",
    full: "1_pages",
    shared: true,
  });
  assert.equal(resolveTableName("blocks", 3).full, "1_snippets");
  assert.equal(resolveTableName('my "table";--', 3).full, "3_mytable");
});

test("contracts resolve to @<ecosystem>Name", () => {
  assert.equal(resolveContractName("Pay", 3).full, "@3Pay");
  assert.equal(resolveContractName("@Pay", 3).full, "@1Pay");
  assert.equal(resolveContractName("@12Pay", 3).full, "@12Pay");
});

test("new names that state or the system cannot hold are refused with their field", () => {
  for (const name of ["", "9a", "A", "a-b", "keys", "ecosystems", "a".repeat(52)]) {
    assert.throws(
      () => validateNewTableName(name, "tables/x.json: name"),
      (error) =>
        error instanceof HanseError &&
        error.code === "ECOSYSTEM_NAME" &&
        error.details.field === "tables/x.json: name",
      name,
    );
  }
  validateNewTableName("a".repeat(51), "x");
  for (const name of ["id", "__proto__", "A", "a b"]) {
    assert.throws(() => validateNewColumnName(name, "c"), { code: "ECOSYSTEM_NAME" });
  }
  assert.throws(() => validateContractName("app.install", "c"), { code: "ECOSYSTEM_NAME" });
});
