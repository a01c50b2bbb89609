/** Goal: one frozen configuration whose every mistake is named at start. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { HanseError } from "@hanse/protocol";
import { loadConfig, printConfig, renderConfigToml } from "./load-config.ts";
import { CONFIG_KEYS, environmentName, flagName } from "./schema.ts";

function codeOf(run: () => unknown): HanseError {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof HanseError);
    return error;
  }
  return assert.fail("expected a refusal");
}

const least = { node: { id: "harbour/node-1" } };

test("flags win over environment, environment over file, file over defaults", () => {
  const folder = mkdtempSync(join(tmpdir(), "hanse-config-"));
  try {
    const file = join(folder, "node.toml");
    const peers = [{ id: "court/node-1", address: "127.0.0.1:7081" }];
    writeFileSync(
      file,
      renderConfigToml({ ...least, api: { port: 1, host: "::1" }, network: { port: 2, peers } }),
    );
    const { config, origins } = loadConfig({
      file,
      environment: { HANSE_API_PORT: "7001", HANSE_NETWORK_PORT: "7002", HOME: "/x" },
      flags: ["--network.port=7003", "--log.level", "debug"],
    });
    assert.equal(config.api.port, 7001);
    assert.equal(config.network.port, 7003);
    assert.equal(config.api.host, "::1");
    assert.equal(config.log.level, "debug");
    assert.deepEqual(config.network.peers, peers);
    assert.equal(config.node.dataDir, join(folder, "data"), "relative to the file's folder");
    assert.equal(config.database.url, undefined);
    assert.equal(origins.get("network.port"), "flag");
    assert.equal(origins.get("api.port"), "environment");
    assert.equal(origins.get("api.host"), "file");
    assert.equal(origins.get("api.bodyBytesMax"), "default");
    assert.throws(() => Object.assign(config.api, { port: 9 }), TypeError);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("an unknown key is refused with the nearest known one, in every source", () => {
  const inFile = codeOf(() => loadConfig({ values: { ...least, api: { prot: 1 } as never } }));
  assert.equal(inFile.code, "CONFIG_UNKNOWN_KEY");
  assert.match(inFile.message, /api\.prot; did you mean api\.port\?/);
  const section = codeOf(() => loadConfig({ values: { ...least, netwrok: {} } as never }));
  assert.match(section.message, /did you mean network\?/);
  const env = codeOf(() => loadConfig({ values: least, environment: { HANSE_API_PROT: "1" } }));
  assert.match(env.message, /did you mean HANSE_API_PORT\?/);
  const flag = codeOf(() => loadConfig({ values: least, flags: ["--api.prot", "1"] }));
  assert.match(flag.message, /did you mean --api\.port\?/);
});

test("values out of bounds, of a wrong kind or missing are named", () => {
  const cases: [Parameters<typeof loadConfig>[0], string, RegExp][] = [
    [{}, "CONFIG_MISSING", /node\.id.*HANSE_NODE_ID/],
    [{ values: { node: { id: "Harbour" } } }, "CONFIG_VALUE", /node\.id/],
    [{ values: { ...least, api: { port: 70_000 } } }, "CONFIG_VALUE", /0 to 65535 port/],
    [{ values: least, environment: { HANSE_API_PORT: "many" } }, "CONFIG_VALUE", /whole number/],
    [{ values: least, environment: { HANSE_LOG_LEVEL: "loud" } }, "CONFIG_VALUE", /one of silent/],
    [{ values: least, flags: ["--api.port"] }, "CONFIG_VALUE", /expected a value/],
    [{ values: least, flags: ["--network.peers", "x"] }, "CONFIG_VALUE", /id=host:port/],
    [{ values: least, flags: ["--network.peers", "a/b=h:1,a/b=h:2"] }, "CONFIG_VALUE", /twice/],
    [{ file: "/nonexistent/node.toml" }, "CONFIG_FILE", /cannot be read/],
  ];
  for (const [sources, code, message] of cases) {
    const error = codeOf(() => loadConfig(sources));
    assert.equal(error.code, code);
    assert.match(error.message, message);
  }
});

test("secrets are neither printed nor repeated in an error", () => {
  const url = "postgres://u:hunter2@h/db";
  const printed = printConfig(loadConfig({ values: { ...least, database: { url } } }));
  assert.equal(printed.find((s) => s.key === "database.url")?.value, "********");
  assert.ok(!JSON.stringify(printed).includes("hunter2"));
  const error = codeOf(() =>
    loadConfig({ values: { ...least, database: { url: ["hunter2"] as never } } }),
  );
  assert.ok(!error.message.includes("hunter2"));
});

test("names in environment and flags are unique, defaults are within their own bounds", () => {
  const keys = [...CONFIG_KEYS.keys()];
  assert.equal(new Set(keys.map(environmentName)).size, keys.length);
  assert.equal(new Set(keys.map(flagName)).size, keys.length);
  for (const [name, setting] of CONFIG_KEYS) {
    if (setting.kind !== "integer" || setting.default === undefined) continue;
    assert.ok(setting.default >= setting.min && setting.default <= setting.max, name);
  }
});
