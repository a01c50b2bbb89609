/** Calls that may not come a second time after some seconds, so that their blocks may be let go. */
import { encodeCall } from "@hanse/engine-needle";
import { encodeNativeCall, NATIVE_ENGINE } from "@hanse/modules";
import type { Bytes, CborValue, KeyPair } from "@hanse/protocol";
import { createClient } from "@hanse/sdk";
import { pause } from "./waiting.ts";

export interface ShortLivedCalls {
  /** Resolves when the call is final. @throws HanseError when the contract failed or nobody answers. */
  call(contract: string, params: ReadonlyMap<string, CborValue>): Promise<void>;
  /** The same for an action of a native module; its result. */
  act(module: string, action: string, args: Readonly<Record<string, CborValue>>): Promise<string>;
}

export function createShortLivedCalls(url: string, key: KeyPair, validMs: number): ShortLivedCalls {
  const client = createClient({ url, key, timeoutMs: 60_000, retries: 3 });
  async function submit(engine: string, payload: Bytes): Promise<string> {
    const { bytes } = await client.sign({ engine, payload, validUntil: Date.now() + validMs });
    const { outcome } = await client.submitAndWait(bytes, { timeoutMs: 60_000 });
    if (outcome.code !== "ok") throw new Error(`${outcome.code}: ${outcome.error}`);
    return String(outcome.result);
  }
  return {
    async call(contract, params) {
      await submit("needle", encodeCall(contract, params));
    },
    act: (module, action, args) => submit(NATIVE_ENGINE, encodeNativeCall(module, action, args)),
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
