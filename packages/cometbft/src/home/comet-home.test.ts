/** Goal: CometBFT's home says what the ledger says, and writing it again forgets no vote. */
import assert from "node:assert/strict";
import { createPrivateKey, verify } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import {
  cometChainId,
  createKeyPair,
  readyKeyBackends,
  sha256,
  signMessage,
  utf8,
} from "@hanse/protocol";
import { type CometHome, cometNodeId, createCometHome } from "./comet-home.ts";

await readyKeyBackends();
const keyOf = (name: string) => createKeyPair("ed25519", sha256(utf8(name)));
const ledgerId = sha256(utf8("ledger"));

function homeIn(folder: string): CometHome {
  return {
    folder,
    moniker: "a/node-1",
    consensusKey: keyOf("consensus"),
    linkKey: keyOf("link"),
    genesis: {
      ledgerId,
      engineEpoch: 2,
      initialHeight: 8,
      time: 1_760_000_000_000,
      blockBytesMax: 1_000_000,
    },
    listen: { host: "::1", port: 7001 },
    rpc: { host: "127.0.0.1", port: 7002 },
    peers: [{ nodeId: "ab".repeat(20), host: "127.0.0.1", port: 7003 }],
    blockIntervalMs: 250,
  };
}

test("files in CometBFT's forms, for the owner alone", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "hanse-comet-home-"));
  t.after(() => rmSync(folder, { recursive: true }));
  createCometHome(homeIn(folder));
  const json = (name: string) => JSON.parse(readFileSync(join(folder, name), "utf8"));
  const genesis = json("config/genesis.json");
  assert.equal(genesis.chain_id, cometChainId(ledgerId, 2));
  assert.ok(genesis.chain_id.length <= 50);
  assert.equal(genesis.initial_height, "8");
  assert.equal(genesis.genesis_time, "2025-10-09T08:53:20.000Z");
  assert.equal(genesis.consensus_params.block.max_bytes, String(1_000_000 + 2 * 1024 * 1024));
  assert.deepEqual(genesis.validators, [], "the ledger states them");

  const config = readFileSync(join(folder, "config/config.toml"), "utf8").split("\n");
  for (const line of [
    'laddr = "tcp://[::1]:7001"',
    'laddr = "tcp://127.0.0.1:7002"',
    `persistent_peers = "${"ab".repeat(20)}@127.0.0.1:7003"`,
    "create_empty_blocks = false",
    'timeout_commit = "250ms"',
    "broadcast = false",
  ]) {
    assert.ok(config.includes(line), line);
  }

  const { priv_key, pub_key, address } = json("config/priv_validator_key.json");
  const { publicKey } = keyOf("consensus");
  assert.equal(Buffer.from(pub_key.value, "base64").equals(publicKey.bytes), true);
  assert.equal(address.toLowerCase(), cometNodeId(publicKey.bytes));
  const secret = Buffer.from(priv_key.value, "base64");
  assert.equal(secret.length, 64);
  // RFC 8410: an Ed25519 secret key as PKCS #8; it must sign for our own public key.
  const prefix = Buffer.from("302e020100300506032b657004220420", "hex");
  const der = Buffer.concat([prefix, secret.subarray(0, 32)]);
  const imported = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const signature = signMessage(keyOf("consensus"), utf8("vote"));
  assert.equal(verify(null, utf8("vote"), imported, signature), true);
  for (const name of ["config/priv_validator_key.json", "config/node_key.json"]) {
    assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600);
  }
});

test("writing it again keeps what CometBFT has signed", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "hanse-comet-home-"));
  t.after(() => rmSync(folder, { recursive: true }));
  createCometHome(homeIn(folder));
  const state = join(folder, "data/priv_validator_state.json");
  const signed = '{"height":"7","round":0,"step":3}';
  writeFileSync(state, signed);
  createCometHome({ ...homeIn(folder), peers: [] });
  assert.equal(readFileSync(state, "utf8"), signed);
});

test("keys of another algorithm are refused", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "hanse-comet-home-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const consensusKey = createKeyPair("p256", sha256(utf8("x")));
  assert.throws(() => createCometHome({ ...homeIn(folder), consensusKey }), { code: "COMET_KEY" });
});
