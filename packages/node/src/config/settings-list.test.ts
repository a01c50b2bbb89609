/** Goal: docs/reference/configuration.md says what the schema says. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { renderSettings, SETTINGS_FILE } from "../../scripts/list-settings.ts";

test("the list of settings is up to date", () => {
  const hint = "run: node packages/node/scripts/list-settings.ts --write";
  assert.equal(readFileSync(SETTINGS_FILE, "utf8"), renderSettings(), hint);
});
