/** Calls that may not come a second time after some seconds, so that their blocks may be let go. */
import { encodeCall } from "@hanse/engine-needle";
import type { CborValue, KeyPair } from "@hanse/protocol";
import { createClient } from "@hanse/sdk";
import { pause } from "./waiting.ts";

export interface ShortLivedCalls {
  /** Resolves when the call is final. @throws HanseError when the contract failed or nobody answers. */
  call(contract: string, params: ReadonlyMap<string, CborValue>): Promise<void>;
}

export function createShortLivedCalls(url: string, key: KeyPair, validMs: number): ShortLivedCalls {
  const client = createClient({ url, key, timeoutMs: 15_000, retries: 3 });
  return {
    async call(contract, params) {
      const payload = encodeCall(contract, params);
      const validUntil = Date.now() + validMs;
      const { bytes } = await client.sign({ engine: "needle", payload, validUntil });
      const { outcome } = await client.submitAndWait(bytes, { timeoutMs: 15_000 });
      if (outcome.code !== "ok") throw new Error(`${contract}: ${outcome.code} ${outcome.error}`);
    },
  };
}

/** Adds entries one after the other until stopped; labels of those that are final. */
export function startShortLivedEntries(calls: ShortLivedCalls, prefix: string) {
  const final: string[] = [];
  let stopped = false;
  const running = (async () => {
    for (let i = 0; !stopped; i++) {
      const label = `${prefix}-${i}`;
      try {
        await calls.call("AddEntry", new Map([["Label", label]]));
        final.push(label);
      } catch {
        // Whether it became final after all is not known: it is not counted.
        await pause(100);
      }
    }
  })();
  return {
    final: final as readonly string[],
    async stop(): Promise<void> {
      stopped = true;
      await running;
    },
  };
}
