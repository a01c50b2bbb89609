/** What is done to a network of four under load, and what must be true meanwhile. */
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import path from "node:path";
import { compareNodes, probeNode, readNetworkStatus } from "@hanse/cli";
import type { EntryLoad } from "../../test/e2e/harness/entry-load.ts";
import { pause, waitFor } from "../../test/e2e/harness/waiting.ts";
import { startDelayProxy } from "./delay-proxy.ts";
import { type FaultNetwork, fillDisk } from "./fault-network.ts";
import {
  addressOf,
  clearRules,
  dropTo,
  loseFromOthers,
  NETWORK_PORT,
  OWN_ADDRESS,
  redirect,
  setRules,
  slowFromOthers,
} from "./namespaces.ts";

export interface CaseContext {
  readonly network: FaultNetwork;
  /** Entries sent to nodes 1 to 3. */
  readonly load: EntryLoad;
}

export interface FaultCase {
  readonly name: string;
  readonly what: string;
  run(context: CaseContext): Promise<void>;
}

/** The node that suffers where one is enough: the fourth. */
const VICTIM = 3;
const OTHERS = [0, 1, 2];
const ALL = [0, 1, 2, 3];
const PROGRESS_ENTRIES = 20;

/** A cut is felt only when what was under way has run dry and the links are given up. */
const FAULT_MS = 4000;

/** They do so the whole time, also at its end. */
async function othersGoOn({ load }: CaseContext, withinMs = 30_000): Promise<void> {
  await pause(FAULT_MS);
  const before = load.final.size;
  const what = `the others make ${PROGRESS_ENTRIES} more entries final`;
  await waitFor(what, async () => load.final.size >= before + PROGRESS_ENTRIES, withinMs);
}

async function heal(): Promise<void> {
  for (const node of ALL) clearRules(node);
}

const committedHeight = async (network: FaultNetwork, node: number) =>
  (await probeNode(network.nodes[node]!.apiUrl, 5000)).height;

export const FAULT_CASES: readonly FaultCase[] = [
  {
    name: "kill",
    what: "kill -9 of one node and its database; it comes back",
    async run(context) {
      context.network.killHard(VICTIM);
      await othersGoOn(context);
      await context.network.start(VICTIM);
    },
  },
  {
    name: "pause",
    what: "one node stands still for 4 s (SIGSTOP) and goes on",
    async run(context) {
      context.network.signal(VICTIM, "SIGSTOP");
      await othersGoOn(context);
      context.network.signal(VICTIM, "SIGCONT");
    },
  },
  {
    name: "partition-one",
    what: "one node is cut off from the others, both ways",
    async run(context) {
      setRules(VICTIM, { out: dropTo(OTHERS) });
      for (const node of OTHERS) setRules(node, { out: dropTo([VICTIM]) });
      await pause(FAULT_MS);
      const cutOff = await committedHeight(context.network, VICTIM);
      await othersGoOn(context);
      assert.equal(await committedHeight(context.network, VICTIM), cutOff, "the one stands still");
      await heal();
    },
  },
  {
    name: "partition-half",
    what: "two and two: nothing becomes final, nothing forks, then all goes on",
    async run(context) {
      const { load } = context;
      const halves = [
        [0, 1],
        [2, 3],
      ] as const;
      for (const node of halves[0]) setRules(node, { out: dropTo(halves[1]) });
      for (const node of halves[1]) setRules(node, { out: dropTo(halves[0]) });
      // What was decided when the wire was cut is still written.
      await pause(3000);
      const heights = async () =>
        Promise.all(ALL.map((node) => committedHeight(context.network, node)));
      const before = await heights();
      await pause(3000);
      assert.deepEqual(await heights(), before, "nobody has a quorum");
      const reached = Math.max(...before.map((height) => height ?? 0));
      for (const height of load.final.values()) assert.ok(height <= reached, "called final alone");
      assert.equal(compareNodes(await readNetworkStatus(context.network.folder)).forked, false);
      await heal();
    },
  },
  {
    name: "one-way",
    what: "one node hears all and reaches nobody",
    async run(context) {
      setRules(VICTIM, { out: dropTo(OTHERS) });
      await othersGoOn(context);
      await heal();
    },
  },
  {
    name: "one-way-deaf",
    what: "one node reaches all and hears nobody",
    async run(context) {
      for (const node of OTHERS) setRules(node, { out: dropTo([VICTIM]) });
      await othersGoOn(context);
      await heal();
    },
  },
  {
    name: "loss",
    what: "10 of 100 packets between all nodes vanish",
    async run(context) {
      for (const node of ALL) setRules(node, { in: loseFromOthers(10) });
      await othersGoOn(context, 60_000);
      await heal();
    },
  },
  {
    name: "slow-link",
    what: "one node hears at most 64 kB per second",
    async run(context) {
      setRules(VICTIM, { in: slowFromOthers(64) });
      await othersGoOn(context);
      await heal();
    },
  },
  {
    name: "delay",
    what: "the line to one node is 150 ms long, each way",
    async run(context) {
      const target = { host: addressOf(VICTIM), port: NETWORK_PORT };
      const proxy = await startDelayProxy({ host: OWN_ADDRESS, target, delayMs: 150 });
      try {
        for (const node of OTHERS) redirect(node, VICTIM, proxy.port);
        // Standing links stay as they are: only after a cut they are made anew, over the long line.
        setRules(VICTIM, { out: dropTo(OTHERS) });
        for (const node of OTHERS) setRules(node, { out: dropTo([VICTIM]) });
        await pause(FAULT_MS);
        await heal();
        await waitFor("links over the long line", async () => proxy.passed > 10_000);
        const before = (await committedHeight(context.network, VICTIM)) ?? 0;
        await othersGoOn(context);
        const follows = async () =>
          ((await committedHeight(context.network, VICTIM)) ?? 0) > before + 3;
        await waitFor("the one at the end of the line follows", follows);
      } finally {
        for (const node of OTHERS) redirect(node, VICTIM, 0);
        await proxy.stop();
      }
    },
  },
  {
    name: "full-disk",
    what: "the disk of one node is full; with room again and restarted it comes back",
    async run(context) {
      const { network } = context;
      await network.stop(VICTIM);
      network.moveToSmallDisk(VICTIM, 400);
      await network.start(VICTIM);
      const ballast = path.join(network.nodes[VICTIM]!.dataFolder, "ballast");
      fillDisk(ballast);
      await waitFor("the node says that it cannot go on", async () => {
        const probe = await probeNode(network.nodes[VICTIM]!.apiUrl, 2000);
        return !probe.ready;
      });
      await othersGoOn(context);
      rmSync(ballast);
      if (network.isRunning(VICTIM)) await network.stop(VICTIM);
      await network.start(VICTIM);
    },
  },
  {
    name: "restart",
    what: "all nodes are restarted in order, one after the other",
    async run({ network }) {
      for (const node of ALL) {
        await network.stop(node);
        await network.start(node);
      }
    },
  },
  {
    name: "kill-all",
    what: "kill -9 of all nodes and databases at once",
    async run({ network }) {
      for (const node of ALL) network.killHard(node);
      await network.start(...ALL);
    },
  },
];
