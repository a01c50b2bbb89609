import assert from "node:assert/strict";
import test from "node:test";
import fastify from "fastify";
import { bindStartPage } from "./start-page.ts";

test("the start page and what it links to are served, and nothing from elsewhere may run", async () => {
  const app = fastify();
  bindStartPage(app);
  const page = await app.inject("/");
  assert.equal(page.statusCode, 200);
  assert.match(
    String(page.headers["content-security-policy"]),
    /default-src 'none'; script-src 'self'/,
  );
  const linked = [...page.body.matchAll(/(?:src|href)="(page\/[^"]+)"/g)].map((match) => match[1]!);
  assert.equal(linked.length, 2);
  for (const path of linked) assert.equal((await app.inject(`/${path}`)).statusCode, 200, path);
  assert.doesNotMatch(page.body, /\son\w+=|<script>/);
  await app.close();
});
