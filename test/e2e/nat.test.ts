/** Goal: two nodes, each behind a router that lets nobody in, have a link over libp2p. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import path from "node:path";
import { test } from "node:test";
import { findMissing, ROOM } from "../../scripts/faults/namespaces.ts";

const PROGRAM = path.join(import.meta.dirname, "harness/nat-room.ts");
const missing = findMissing();

test("nodes behind two address translations talk over a circuit", {
  skip: missing === undefined ? false : `network namespaces: ${missing}`,
  timeout: 400_000,
}, () => {
  const args = [...ROOM, process.execPath, PROGRAM];
  const done = spawnSync("unshare", args, { encoding: "utf8", timeout: 380_000 });
  assert.equal(done.status, 0, `${done.stdout}${done.stderr}`);
  assert.deepEqual(JSON.parse(done.stdout), {
    heard: { a: ["b", "relay"], b: ["a", "relay"], relay: ["a", "b"] },
    relayDialable: true,
    routerDialable: false,
    nodeDialable: false,
  });
});
