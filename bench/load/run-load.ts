/**
 * Open-loop load: every transaction has a planned moment, and its latency counts from that moment,
 * so that a node that stalls cannot hide it by slowing the load down (coordinated omission).
 */
import { readFileSync } from "node:fs";
import { BATCH_CONTENT_TYPE, encodeBatch } from "@hanse/api";
import { decodeKeyFile, readyKeyBackends } from "@hanse/protocol";
import { summarizeLatency } from "../measure/percentiles.ts";
import { openFinalityFeed } from "./finality-feed.ts";
import { type HttpAnswer, HttpConnection } from "./http-connection.ts";
import type { LoadPlan, LoadReport } from "./load-plan.ts";
import { type SignedTransfer, signTransfers } from "./signed-transfers.ts";

const VALID_MS = 3_600_000;

class Tally {
  readonly plannedAt = new Map<string, number>();
  readonly finalIds = new Set<string>();
  readonly latencies: number[] = [];
  readonly answers: number[] = [];
  readonly refused: Record<string, number> = {};
  readonly failed: Record<string, number> = {};
  accepted = 0;
  lastFinalAt: number | undefined;
  doubled = 0;
  lateMsMax = 0;

  countRefused(code: string, count = 1): void {
    this.refused[code] = (this.refused[code] ?? 0) + count;
  }

  onFinal(id: string, code: string, arrivedAt: number): void {
    const plannedAt = this.plannedAt.get(id);
    if (plannedAt === undefined) return; // Somebody else's.
    if (this.finalIds.has(id)) {
      this.doubled++;
      return;
    }
    this.finalIds.add(id);
    this.latencies.push(arrivedAt - plannedAt);
    this.lastFinalAt = arrivedAt;
    if (code !== "ok") this.failed[code] = (this.failed[code] ?? 0) + 1;
  }
}

/** Signs, tells `onReady`, waits for it, then offers the load and reports. */
export async function runLoad(plan: LoadPlan, onReady: () => Promise<void>): Promise<LoadReport> {
  await readyKeyBackends();
  const count = Math.ceil((plan.ratePerSecond * plan.durationMs) / 1000);
  const signBegan = performance.now();
  const transfers = signTransfers(
    {
      ...plan,
      senders: plan.senderFiles.map((file) => decodeKeyFile(readFileSync(file, "utf8"))),
      validUntil: Date.now() + VALID_MS,
    },
    count,
    // Runs against one ledger must not repeat each other's transactions.
    Date.now() % 2_000_000_000,
  );
  const signMs = performance.now() - signBegan;
  const tally = new Tally();
  let feedEnd: Error | undefined;
  const feed = await openFinalityFeed(
    plan.urls[0]!,
    (block, arrivedAt) => {
      for (const { id, code } of block.transactions) tally.onFinal(id, code, arrivedAt);
    },
    (error) => {
      feedEnd = error;
    },
  );
  const pools = plan.urls.map((url) =>
    Array.from({ length: plan.connections }, () => new HttpConnection(url)),
  );
  await onReady();
  const began = performance.now();
  await offer(plan, transfers, pools, tally, began);
  const deadline = performance.now() + plan.drainMs;
  while (tally.finalIds.size < tally.accepted && feedEnd === undefined) {
    if (performance.now() > deadline) break;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const elapsedMs = performance.now() - began;
  feed.close();
  for (const connection of pools.flat()) connection.close();
  if (feedEnd !== undefined) throw feedEnd;
  // Until the last one is final: what waits at the end of the offering is not given away.
  const finalMs = (tally.lastFinalAt ?? performance.now()) - began;
  return {
    offered: count,
    accepted: tally.accepted,
    refused: tally.refused,
    final: tally.finalIds.size,
    failed: tally.failed,
    doubled: tally.doubled,
    finalPerSecond: (tally.finalIds.size * 1000) / finalMs,
    latency: summarizeLatency(tally.latencies),
    answer: summarizeLatency(tally.answers),
    lateMsMax: tally.lateMsMax,
    signMs,
    elapsedMs,
  };
}

/** Sends everything by the clock; resolves when all is answered. */
async function offer(
  plan: LoadPlan,
  transfers: readonly SignedTransfer[],
  pools: readonly (readonly HttpConnection[])[],
  tally: Tally,
  began: number,
): Promise<void> {
  const answers: Promise<void>[] = [];
  let sent = 0;
  let turn = 0;
  const tickMs = plan.mode === "batch" ? plan.batchEveryMs : 1;
  for (let tick = 0; sent < transfers.length; tick++) {
    const plannedAt = began + tick * tickMs;
    const wait = plannedAt - performance.now();
    // Timers fire up to a millisecond late; for smaller gaps a turn of the event loop is enough.
    if (wait > 1.5) await new Promise((resolve) => setTimeout(resolve, wait - 1));
    else await new Promise((resolve) => setImmediate(resolve));
    const due = Math.min(
      transfers.length,
      Math.ceil(((tick + 1) * tickMs * plan.ratePerSecond) / 1000),
    );
    if (due <= sent) continue;
    tally.lateMsMax = Math.max(tally.lateMsMax, performance.now() - plannedAt);
    const part = transfers.slice(sent, due);
    sent = due;
    for (const transfer of part) tally.plannedAt.set(transfer.id, plannedAt);
    if (plan.mode === "batch") {
      answers.push(sendBatch(pickConnection(pools, turn++), part, plannedAt, tally));
    } else {
      for (const transfer of part) {
        answers.push(sendSingle(pickConnection(pools, turn++), transfer, plannedAt, tally));
      }
    }
  }
  await Promise.all(answers);
}

/** Nodes in turn, and of a node the connection with the fewest open requests. */
function pickConnection(
  pools: readonly (readonly HttpConnection[])[],
  turn: number,
): HttpConnection {
  const pool = pools[turn % pools.length]!;
  let best = pool[Math.floor(turn / pools.length) % pool.length]!;
  for (const connection of pool) if (connection.depth < best.depth) best = connection;
  return best;
}

function codeOf(answer: HttpAnswer): string {
  try {
    return (
      (JSON.parse(answer.body.toString("utf8")) as { code?: string }).code ?? `${answer.status}`
    );
  } catch {
    return `HTTP_${answer.status}`;
  }
}

async function sendBatch(
  connection: HttpConnection,
  part: readonly SignedTransfer[],
  plannedAt: number,
  tally: Tally,
): Promise<void> {
  const body = encodeBatch(part.map((transfer) => transfer.bytes));
  try {
    const answer = await connection.post("/v1/transactions/batch", BATCH_CONTENT_TYPE, body);
    tally.answers.push(performance.now() - plannedAt);
    if (answer.status !== 202) {
      tally.countRefused(codeOf(answer), part.length);
      return;
    }
    const { accepted, refused } = JSON.parse(answer.body.toString("utf8")) as {
      accepted: number;
      refused: readonly { readonly problem: { readonly code: string } }[];
    };
    tally.accepted += accepted;
    for (const { problem } of refused) tally.countRefused(problem.code);
  } catch (error) {
    tally.countRefused(`connection: ${(error as Error).message}`, part.length);
  }
}

async function sendSingle(
  connection: HttpConnection,
  transfer: SignedTransfer,
  plannedAt: number,
  tally: Tally,
): Promise<void> {
  try {
    const answer = await connection.post("/v1/transactions", BATCH_CONTENT_TYPE, transfer.bytes);
    tally.answers.push(performance.now() - plannedAt);
    if (answer.status === 202 || answer.status === 200) tally.accepted++;
    else tally.countRefused(codeOf(answer));
  } catch (error) {
    tally.countRefused(`connection: ${(error as Error).message}`);
  }
}
