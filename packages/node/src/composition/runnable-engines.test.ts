/** Goal: a node declares etcd only where etcd answers it. Method: a door that answers, and a closed one. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { listRunnableEngines } from "./runnable-engines.ts";

test("etcd is declared where it answers, else the reason names the setting", async () => {
  const server = createServer((request, response) => {
    request.resume().on("end", () => {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ header: { revision: "7" }, kvs: [] }));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const settings = {
    ...{ urls: `http://127.0.0.1:${port}`, requestMs: 30_000, leaseMs: 3_000 },
    ...{ caFile: undefined, certFile: undefined, keyFile: undefined },
  };
  try {
    assert.deepEqual(await listRunnableEngines({ etcd: settings }), {
      engines: ["etcd"],
      missing: [],
    });
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  const closed = await listRunnableEngines({ etcd: { ...settings, requestMs: 2_000 } });
  assert.deepEqual(closed.engines, []);
  assert.match(closed.missing.join(), /etcd\.urls http:\/\/127\.0\.0\.1:\d+/);
  const unreadable = { ...settings, caFile: "/nowhere/ca.pem" };
  assert.match((await listRunnableEngines({ etcd: unreadable })).missing.join(), /etcd\.caFile/);
});
