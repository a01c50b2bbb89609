/** Waiting for what must come, with a bound and a reason when it does not. */
import assert from "node:assert/strict";
import { compareNodes, type NodeSnapshot, readNetworkStatus } from "@hanse/cli";
import type { TestNetwork } from "./test-network.ts";

/** Machines that run the tests may be busy with other things: what must come is waited for long. */
const PATIENCE_MS = 90_000;

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Polls until `check` answers something else than undefined or false. */
export async function waitFor<T>(
  what: string,
  check: () => Promise<T | undefined | false>,
  timeoutMs = PATIENCE_MS,
): Promise<T> {
  const until = performance.now() + timeoutMs;
  let last: unknown;
  while (performance.now() < until) {
    try {
      const value = await check();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      last = error;
    }
    await pause(50);
  }
  assert.fail(`not within ${timeoutMs} ms: ${what}${last === undefined ? "" : ` (last: ${last})`}`);
}

/** Waits until all nodes stand at one height with one state root; a fork fails at once. */
export async function waitForAgreement(
  network: TestNetwork,
  timeoutMs = PATIENCE_MS,
): Promise<readonly NodeSnapshot[]> {
  return waitFor(
    "all nodes at one height with one state root",
    async () => {
      const nodes = await readNetworkStatus(network.folder);
      const { agree, answering, total, forked } = compareNodes(nodes);
      assert.equal(forked, false, "two state roots at one height");
      return agree && answering === total ? nodes : undefined;
    },
    timeoutMs,
  );
}
