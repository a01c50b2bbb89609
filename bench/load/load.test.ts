/** Goal: the load process reads answers and streams exactly, so that its counts can be trusted. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { openFinalityFeed, parseBlockMessage } from "./finality-feed.ts";
import { HttpConnection, readChunks } from "./http-connection.ts";

test("pipelined answers come back in order, of fixed length and chunked", async () => {
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const body = Buffer.concat(parts).toString();
      // Odd ones late and in chunks: order and framing are the client's to keep.
      const odd = Number(body) % 2 === 1;
      setTimeout(
        () => {
          response.statusCode = odd ? 429 : 202;
          if (odd) {
            response.write("answer ");
            response.end(body);
          } else {
            response.setHeader("content-length", String(7 + body.length));
            response.end(`answer ${body}`);
          }
        },
        odd ? 20 : 0,
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const connection = new HttpConnection(
    `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  );
  try {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        connection.post("/x", "text/plain", Buffer.from(String(i))),
      ),
    );
    for (const [i, answer] of answers.entries()) {
      assert.equal(answer.body.toString(), `answer ${i}`);
      assert.equal(answer.status, i % 2 === 1 ? 429 : 202);
    }
    assert.equal(connection.depth, 0);
  } finally {
    connection.close();
    server.closeAllConnections();
    server.close();
  }
});

test("an incomplete chunk is not an answer", () => {
  const whole = Buffer.from("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  assert.equal(readChunks(whole, 0)?.body.toString(), "abcde");
  assert.equal(readChunks(whole, 0)?.end, whole.length);
  for (let cut = 0; cut < whole.length; cut++) {
    assert.equal(readChunks(whole.subarray(0, cut), 0), undefined, `cut at ${cut}`);
  }
});

test("blocks are read from a stream that arrives in pieces", async () => {
  const message =
    'id: 7\nevent: block\ndata: {"height":7,"transactions":[{"id":"a","code":"ok"}]}\n\n';
  const server = createServer((_request, response) => {
    response.setHeader("content-type", "text/event-stream");
    response.write(`: hello\n\n${message.slice(0, 30)}`);
    setTimeout(() => response.write(message.slice(30)), 20);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const block = await new Promise((resolve, reject) => {
      void openFinalityFeed(url, resolve, reject).catch(reject);
    });
    assert.deepEqual(block, { height: 7, transactions: [{ id: "a", code: "ok" }] });
    assert.equal(parseBlockMessage(": keep-alive"), undefined);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
