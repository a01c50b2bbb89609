/** A steady stream of entries, each remembered with what the ledger said about it. */
import assert from "node:assert/strict";
import { HanseError, type KeyPair } from "@hanse/protocol";
import type { TestNetwork } from "./test-network.ts";
import { pause, waitFor } from "./waiting.ts";

export interface EntryLoad {
  /** Transaction ids that a node accepted (journaled), by label. */
  readonly accepted: ReadonlyMap<string, string>;
  /** Labels that a node called final, with the height it named. */
  readonly final: ReadonlyMap<string, number>;
  stop(): Promise<void>;
}

/** Submits under way at once. */
const LANES = 6;
const ASKED_AT_ONCE = 30;

/** Sends entries round the nodes given until stopped; nodes that fail are passed over. */
export async function startEntryLoad(
  network: TestNetwork,
  options: { readonly nodes: readonly number[]; readonly signer: KeyPair; readonly prefix: string },
): Promise<EntryLoad> {
  const accepted = new Map<string, string>();
  const final = new Map<string, number>();
  const waiting = new Map<string, { id: string; node: number }>();
  let stopped = false;
  const clients = new Map(
    await Promise.all(
      options.nodes.map(async (node) => [node, await network.client(node)] as const),
    ),
  );
  const send = async (lane: number) => {
    for (let i = lane; !stopped; i += LANES) {
      const node = options.nodes[i % options.nodes.length]!;
      const label = `${options.prefix}-${i}`;
      try {
        const id = await clients.get(node)!.submitCall(options.signer, {
          contract: "AddEntry",
          params: new Map([["Label", label]]),
        });
        accepted.set(label, id);
        waiting.set(label, { id, node });
      } catch (error) {
        // A dead or full node refuses; what it did not accept is not owed.
        if (!(error instanceof HanseError)) throw error;
      }
      await pause(5);
    }
  };
  const ask = async (label: string, { id, node }: { id: string; node: number }) => {
    try {
      const view = await clients.get(node)!.transaction(id);
      if (view.state !== "final") return;
      final.set(label, view.height!);
      waiting.delete(label);
    } catch (error) {
      if (!(error instanceof HanseError)) throw error; // The node is away: ask again later.
    }
  };
  const watch = async () => {
    while (!stopped) {
      const some = [...waiting].slice(0, ASKED_AT_ONCE);
      await Promise.all(some.map(([label, where]) => ask(label, where)));
      await pause(20);
    }
  };
  const lanes = Array.from({ length: LANES }, (_, lane) => send(lane));
  const running = Promise.all([...lanes, watch()]);
  return {
    accepted,
    final,
    async stop() {
      stopped = true;
      await running;
    },
  };
}

/** Every label accepted comes to be in the record of the node asked, and none stands there twice. */
export async function assertRecordedOnce(
  network: TestNetwork,
  node: number,
  accepted: ReadonlyMap<string, string>,
): Promise<void> {
  let lost: string[] = [];
  const labels = await waitFor(`all accepted entries in the record of node ${node}`, async () => {
    const found = await readLabels(network, node);
    const known = new Set(found);
    lost = [...accepted.keys()].filter((label) => !known.has(label));
    return lost.length === 0 ? found : undefined;
  }).catch((error: unknown) => {
    throw lost.length === 0 ? error : new assert.AssertionError({ message: `lost: ${lost}` });
  });
  const doubled = labels.filter((label, i) => labels.indexOf(label) !== i);
  assert.deepEqual(doubled, [], "labels recorded more than once");
}

/** All labels of the table, in pages. */
export async function readLabels(network: TestNetwork, node: number): Promise<string[]> {
  const client = await network.client(node);
  const caller = network.account(`${network.nodes[0]!.org}-admin`).keyPair;
  const labels: string[] = [];
  for (;;) {
    const rows = await client.rows("1_entries", { caller, limit: 1000, offset: labels.length });
    for (const row of rows) labels.push(String(row.label));
    if (rows.length < 1000) return labels;
  }
}
