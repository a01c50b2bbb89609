/** The tables of the specification are those of the code. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { SPEC_PATH, withTables } from "../../scripts/spec-tables.ts";

test("spec/needle.md holds the tables of this version", () => {
  const text = readFileSync(SPEC_PATH, "utf8");
  assert.equal(text, withTables(text), "run node packages/needle/scripts/spec-tables.ts");
});
