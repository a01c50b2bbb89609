/** Goal: docs/reference/errors.md lists exactly the codes that the source has. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ERRORS_FILE, listErrors, renderErrors } from "../../scripts/list-errors.ts";

test("the list of error codes is up to date", () => {
  const list = listErrors();
  assert.ok(list.length > 100);
  assert.equal(
    readFileSync(ERRORS_FILE, "utf8"),
    renderErrors(list),
    "run: node packages/api/scripts/list-errors.ts --write",
  );
});
