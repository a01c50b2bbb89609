/** Goal: the document names every route once, and says the same as the routes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ROUTES } from "../routes/all-routes.ts";
import { buildPath, type RouteSpec } from "../routes/route.ts";
import { createOpenApi } from "./openapi.ts";

const routes = Object.entries(ROUTES) as [string, RouteSpec][];

test("every route stands in the document under its own id, path and method", () => {
  const document = createOpenApi({ version: "1.2.3" });
  const paths = document.paths as Record<string, Record<string, { operationId: string }>>;
  const seen = Object.values(paths).flatMap((methods) =>
    Object.values(methods).map((operation) => operation.operationId),
  );
  assert.deepEqual(seen.sort(), routes.map(([name]) => name).sort());
  for (const [name, route] of routes) {
    assert.equal(route.id, name);
    assert.equal(paths[route.path]?.[route.method.toLowerCase()]?.operationId, name);
  }
  const text = JSON.stringify(document);
  for (const [, name] of text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)) {
    assert.ok((document.components as { schemas: object }).schemas[name as never], name);
  }
  assert.ok(!text.includes('"$id"'));
});

test("parameters in a path are exactly the described ones", () => {
  for (const [name, route] of routes) {
    const inPath = [...route.path.matchAll(/\{([a-zA-Z]+)\}/g)].map((match) => match[1]);
    assert.deepEqual(inPath.sort(), Object.keys(route.params?.properties ?? {}).sort(), name);
    assert.ok(Object.keys(route.responses).length > 0, name);
  }
});

test("paths are built with everything escaped and lists repeated", () => {
  assert.equal(
    buildPath(ROUTES.getRow, { name: "1_keys", key: "a/b c" }, { x: ["1", "2"], y: undefined }),
    "/v1/tables/1_keys/rows/a%2Fb%20c?x=1&x=2",
  );
});
