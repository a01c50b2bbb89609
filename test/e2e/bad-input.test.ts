/** Goal: every kind of bad input gets its own code, status and remedy, through the public API. */
import assert from "node:assert/strict";
import { after, before, describe, type TestContext, test } from "node:test";
import { encodeBatch } from "@hanse/api";
import { type LedgerClient, registerAccount, soloTemplate } from "@hanse/cli";
import { encodeCall } from "@hanse/engine-needle";
import {
  type Bytes,
  createKeyPair,
  encodeNativeBody,
  encodeNativeTransaction,
  fromHex,
  type KeyPair,
  type NativeTransactionBody,
  nativeSignedMessage,
  signMessage,
} from "@hanse/protocol";
import { createTestNetwork, type TestNetwork } from "./harness/test-network.ts";
import { waitFor } from "./harness/waiting.ts";

interface Problem {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly title: string;
  readonly field?: string;
  readonly retryAfter?: number;
}

const PER_SENDER_MAX = 40;
const POOL_MAX = 60;
const HOUR_MS = 3_600_000;

let network: TestNetwork;
let ledger: LedgerClient;
let signer: KeyPair;
/** Of the signer's organization. */
let colleague: KeyPair;
/** Of another organization, which runs no node. */
let guest: KeyPair;
let undo: (() => unknown)[] = [];
let nonce = 1n;

/** The part of a test context that the harness needs, for a network shared by a whole suite. */
const suiteContext = { after: (work: () => unknown) => void undo.push(work) } as TestContext;

before(async () => {
  const solo = soloTemplate("bad-input");
  network = await createTestNetwork(suiteContext, {
    template: {
      ...solo,
      organizations: [
        ...solo.organizations,
        {
          id: "guests",
          name: "Guests",
          nodes: 0,
          people: [{ name: "guests-admin", roles: ["admin"] }],
        },
      ],
    },
    nodeSettings: {
      mempool: {
        perSenderMax: PER_SENDER_MAX,
        transactionsMax: POOL_MAX,
        perOrgPercentMax: 80,
      },
      api: { bodyBytesMax: 3 * 1024 * 1024, batchTransactionsMax: 100 },
    },
    // Contracts that run away end soon.
    params: { fuelPerTransactionMax: 2_000_000, contractMemoryBytesMax: 8 * 1024 * 1024 },
  });
  await network.up();
  await network.installEntries();
  ledger = await network.client();
  signer = network.account("solo-admin").keyPair;
  guest = network.account("guests-admin").keyPair;
  colleague = createKeyPair("p256");
  await registerAccount(ledger, signer, {
    name: "colleague",
    roles: [],
    key: colleague.publicKey,
  });
});

after(async () => {
  for (const work of undo.reverse()) await work();
  undo = [];
});

function sign(change: Partial<NativeTransactionBody> = {}, key: KeyPair = signer): Bytes {
  const body = encodeNativeBody({
    ledgerId: fromHex(ledger.ledgerId),
    sender: key.publicKey,
    nonce: nonce++,
    validUntil: Date.now() + HOUR_MS,
    engine: "needle",
    payload: encodeCall("AddEntry", { Label: `label ${nonce}` }),
    ...change,
  });
  return encodeNativeTransaction(body, signMessage(key, nativeSignedMessage(body)));
}

async function post(path: string, body: Bytes, type = "application/octet-stream") {
  const response = await fetch(`${ledger.url}${path}`, {
    method: "POST",
    headers: { "content-type": type },
    body: body as Uint8Array<ArrayBuffer>,
  });
  return { response, json: (await response.json()) as Problem & Record<string, unknown> };
}

/** Sends and expects a refusal with code, status and a sentence that helps. */
async function expectProblem(
  body: Bytes,
  expected: { readonly status: number; readonly code: string; readonly detail: RegExp },
  path = "/v1/transactions",
): Promise<Problem> {
  const { response, json } = await post(path, body);
  assert.equal(json.code, expected.code, json.detail);
  assert.equal(response.status, expected.status);
  assert.equal(json.status, expected.status);
  assert.match(response.headers.get("content-type") ?? "", /^application\/problem\+json/);
  assert.match(json.detail, expected.detail);
  assert.ok(!/\bat .+:\d+:\d+/.test(JSON.stringify(json)), "no stack trace");
  return json;
}

describe("a transaction that cannot be accepted", { timeout: 400_000 }, () => {
  test("malformed bytes", async () => {
    await expectProblem(Uint8Array.of(1, 2, 3), {
      status: 400,
      code: "LEDGER_TX_MALFORMED",
      detail: /./,
    });
    const cut = sign().subarray(0, -1);
    await expectProblem(cut, { status: 400, code: "LEDGER_TX_MALFORMED", detail: /./ });
    await expectProblem(Uint8Array.of(250, 1), {
      status: 400,
      code: "LEDGER_TX_FORM",
      detail: /form/,
    });
  });

  test("a body that is no transaction at all", async () => {
    const text = await post("/v1/transactions", new TextEncoder().encode("{"), "application/json");
    assert.equal(text.response.status, 400);
    assert.equal(text.json.code, "API_BODY");
    const type = await post("/v1/transactions", new TextEncoder().encode("x"), "text/plain");
    assert.equal(type.json.code, "API_CONTENT_TYPE");
    assert.match(type.json.detail, /application\/octet-stream/);
    const hex = await post(
      "/v1/transactions",
      new TextEncoder().encode('{"transaction":"xyz"}'),
      "application/json",
    );
    assert.equal(hex.json.code, "API_TRANSACTION_TEXT");
    assert.equal(hex.json.field, "transaction");
    await expectProblem(
      Uint8Array.of(0, 0, 0, 9, 1),
      {
        status: 400,
        code: "API_BATCH",
        detail: /length/,
      },
      "/v1/transactions/batch",
    );
  });

  test("oversized: one transaction, a body, a batch", async () => {
    await expectProblem(sign({ payload: new Uint8Array(1_100_000) }), {
      status: 413,
      code: "LEDGER_TX_TOO_LARGE",
      detail: /bytes/,
    });
    await expectProblem(new Uint8Array(3 * 1024 * 1024 + 1), {
      status: 413,
      code: "API_BODY_SIZE",
      detail: /at most/,
    });
    const many = encodeBatch(Array.from({ length: 101 }, () => Uint8Array.of(1)));
    await expectProblem(
      many,
      { status: 413, code: "API_BATCH_SIZE", detail: /100/ },
      "/v1/transactions/batch",
    );
  });

  test("expired, and valid too far ahead", async () => {
    await expectProblem(sign({ validUntil: Date.now() - HOUR_MS }), {
      status: 422,
      code: "LEDGER_TX_EXPIRED",
      detail: /validUntil/,
    });
    await expectProblem(sign({ validUntil: Date.now() + 90 * 24 * HOUR_MS }), {
      status: 422,
      code: "LEDGER_TX_TOO_FAR_AHEAD",
      detail: /validUntil/,
    });
  });

  test("a duplicate, while it waits and once it is final", async () => {
    const bytes = sign();
    const first = await post("/v1/transactions", bytes);
    assert.equal(first.response.status, 202);
    const again = await post("/v1/transactions", bytes);
    assert.equal(again.response.status, 409);
    assert.ok(["LEDGER_TX_PENDING", "LEDGER_TX_COMMITTED"].includes(again.json.code));
    await ledger.waitFinal(String(first.json.id));
    await expectProblem(bytes, { status: 409, code: "LEDGER_TX_COMMITTED", detail: /./ });
  });

  test("wrongly signed: by another key, or changed after signing", async () => {
    const other = createKeyPair("ed25519");
    const body = encodeNativeBody({
      ledgerId: fromHex(ledger.ledgerId),
      sender: signer.publicKey,
      nonce: nonce++,
      validUntil: Date.now() + HOUR_MS,
      engine: "needle",
      payload: encodeCall("AddEntry", { Label: "forged" }),
    });
    const forged = encodeNativeTransaction(body, signMessage(other, nativeSignedMessage(body)));
    await expectProblem(forged, { status: 403, code: "LEDGER_TX_SIGNATURE", detail: /sign/ });
    const good = sign();
    const changed = Uint8Array.from(good);
    changed[good.length - 1]! ^= 1;
    await expectProblem(changed, { status: 403, code: "LEDGER_TX_SIGNATURE", detail: /sign/ });
  });

  test("an unknown signer, of every algorithm", async () => {
    for (const algorithm of ["ed25519", "p256", "secp256k1"] as const) {
      const stranger = createKeyPair(algorithm);
      await expectProblem(sign({ sender: stranger.publicKey }, stranger), {
        status: 403,
        code: "IDENTITY_UNKNOWN_SIGNER",
        detail: /regist|administrator|account/,
      });
    }
  });

  test("another ledger, another engine, another contract, wrong parameters", async () => {
    await expectProblem(sign({ ledgerId: new Uint8Array(32).fill(7) }), {
      status: 422,
      code: "LEDGER_TX_WRONG_LEDGER",
      detail: /ledger/,
    });
    await expectProblem(sign({ engine: "cobol" }), {
      status: 422,
      code: "LEDGER_TX_ENGINE",
      detail: /cobol|engine/,
    });
    const none = await post("/v1/transactions", sign({ payload: encodeCall("AddEntri", {}) }));
    assert.equal(none.json.code, "NEEDLE_NO_CONTRACT");
    assert.match(none.json.detail, /AddEntri/);
    const params = await post(
      "/v1/transactions",
      sign({ payload: encodeCall("AddEntry", { Lable: "x" }) }),
    );
    assert.equal(params.json.code, "NEEDLE_PARAM_UNKNOWN");
    assert.match(params.json.detail, /Label|Lable/);
    assert.ok(params.response.status >= 400 && params.response.status < 500);
  });

  /** Sends mixed batches until the node refuses one for the reason wanted. */
  const fillUntil = async (code: string, keys: readonly KeyPair[], each: number) => {
    for (let round = 0; round < 20; round++) {
      const transactions = keys.flatMap((key) =>
        Array.from({ length: each }, () => sign({ sender: key.publicKey }, key)),
      );
      const { response, json } = await post("/v1/transactions/batch", encodeBatch(transactions));
      const refused = (json.refused as { problem: Problem }[] | undefined) ?? [];
      const problem = [...refused.map((one) => one.problem), json].find((one) => one.code === code);
      if (problem !== undefined) return { problem, response };
    }
    return assert.fail(`never refused with ${code}`);
  };

  const assertComeBackLater = ({ problem }: { readonly problem: Problem }) => {
    assert.equal(problem.status, 429);
    assert.ok(problem.retryAfter! >= 0.1 && problem.retryAfter! <= 60, `${problem.retryAfter}`);
    assert.match(problem.detail, /wait|later|again/i);
  };

  test("over quota: one sender fills its share, 429 says when to come back", async () => {
    assertComeBackLater(await fillUntil("LEDGER_SENDER_QUOTA", [signer], PER_SENDER_MAX + 20));
    // A whole request that is refused for this reason carries it as its own status and header.
    for (let round = 0; round < 200; round++) {
      const { response, json } = await post("/v1/transactions", sign());
      if (response.status === 202) continue;
      assert.equal(json.code, "LEDGER_SENDER_QUOTA");
      assert.ok(Number(response.headers.get("retry-after")) >= 1);
      break;
    }
  });

  test("an organization that filled its share of the pool", async () => {
    assertComeBackLater(await fillUntil("LEDGER_ORGANIZATION_QUOTA", [signer, colleague], 30));
  });

  test("full: senders and organizations within their shares fill the pool", async () => {
    assertComeBackLater(await fillUntil("LEDGER_POOL_FULL", [signer, guest], 38));
  });

  test("reads without an account, with a wrong path, with a wrong value", async () => {
    const read = async (path: string) => {
      const response = await fetch(`${ledger.url}${path}`);
      return { status: response.status, problem: (await response.json()) as Problem };
    };
    const anonymous = await read("/v1/tables");
    assert.equal(anonymous.status, 403);
    const path = await read("/v1/tabels");
    assert.deepEqual([path.status, path.problem.code], [404, "API_ROUTE"]);
    const height = await read("/v1/blocks/first");
    assert.deepEqual([height.status, height.problem.code], [400, "API_VALIDATION"]);
    assert.equal(height.problem.field, "height");
    const future = await read("/v1/blocks/999999999");
    assert.equal(future.status, 404);
    const unknown = await read(`/v1/transactions/${"0".repeat(64)}`);
    assert.deepEqual([unknown.status, unknown.problem.code], [404, "LEDGER_TX_UNKNOWN"]);
  });
});

describe("a contract that fails", { timeout: 300_000 }, () => {
  // What filled the pool above has to leave it first.
  before(() =>
    waitFor("an empty pool", async () => {
      const status = await (await fetch(`${ledger.url}/v1/status`)).json();
      return (status as { mempool: { transactions: number } }).mempool.transactions === 0;
    }),
  );

  const run = async (contract: string, params: Record<string, number> = {}) => {
    const id = await ledger.submitCall(signer, {
      contract,
      params: new Map(Object.entries(params)),
    });
    return (await ledger.waitFinal(id)).outcome!;
  };

  test("names contract, line and column", async () => {
    const outcome = await run("FailOnLine", { Divisor: 0 });
    assert.notEqual(outcome.code, "ok");
    assert.match(outcome.error, /FailOnLine/);
    assert.match(outcome.error, /\b7\b.*\b\d+\b/s, "line 7 and a column");
  });

  test("ends at its fuel when it loops for ever", async () => {
    const outcome = await run("LoopForever");
    assert.equal(outcome.code, "FUEL_EXHAUSTED");
    assert.ok(BigInt(outcome.fuelUsed) <= 2_000_000n);
  });

  test("ends at its memory when it hoards", async () => {
    const outcome = await run("HoardMemory");
    assert.equal(outcome.code, "MEMORY_EXHAUSTED");
  });

  test("and the ledger goes on", async () => {
    const outcome = await run("FailOnLine", { Divisor: 5 });
    assert.deepEqual([outcome.code, outcome.result], ["ok", "2"]);
  });
});
