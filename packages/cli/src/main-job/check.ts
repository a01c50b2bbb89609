/**
 * `npm start -- --check`: the main job from end to end in a folder of its own: a document is filed
 * and served, all nodes hold the same record, and an outsider verifies the receipt offline.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type CborValue, fromHex, HanseError } from "@hanse/protocol";
import { hashFile } from "../client/call-parameters.ts";
import { openLedger, type TransactionView } from "../client/ledger-client.ts";
import {
  isNetworkFolder,
  loadNetworkFolder,
  type NetworkFolder,
} from "../network-folder/network-folder.ts";
import { type Console, toJson } from "../output/console.ts";
import { createSteps, formatDuration, type Steps } from "../output/progress.ts";
import { downNetwork, readNetworkStatus } from "../processes/network-lifecycle.ts";
import { addDocuments } from "../receipts/add-documents.ts";
import { verifyOffline } from "../receipts/verify-offline.ts";
import { compareNodes } from "../status/node-snapshot.ts";
import { REPOSITORY_FOLDER } from "./deeds-network.ts";
import { type DeedsNetwork, setUpDeeds } from "./set-up.ts";

export interface CheckOptions {
  readonly console: Console;
  /** Where the check makes a folder of its own (and removes it): the system's temporary one. */
  readonly dir?: string;
  readonly portBase?: number;
  readonly signal: AbortSignal;
}

const AGREE_TIMEOUT_MS = 60_000;

/** Returns whether everything held; prints each step with its time. */
export async function runCheck(options: CheckOptions): Promise<boolean> {
  const { console } = options;
  const began = performance.now();
  if (options.dir !== undefined) mkdirSync(options.dir, { recursive: true });
  const dir = mkdtempSync(path.join(options.dir ?? tmpdir(), "hanse-check-"));
  const steps = createSteps(console);
  let network: NetworkFolder | undefined;
  let failure: unknown;
  try {
    const networkDir = path.join(dir, "network");
    const deeds = await setUpDeeds({
      dir: networkDir,
      steps,
      signal: options.signal,
      ...(options.portBase === undefined ? {} : { portBase: options.portBase }),
    });
    network = deeds.network;
    await walk(deeds, dir, steps, options.signal);
  } catch (error) {
    failure = error;
    // A failed set-up stops what it started, but a step after the start may be what failed.
    const created = path.join(dir, "network");
    network ??= isNetworkFolder(created) ? loadNetworkFolder(created) : undefined;
  }
  if (network !== undefined) {
    const started = network;
    await steps.run("stop the nodes", async () => {
      const stopped = await downNetwork(started);
      const killed = stopped.filter((one) => one.how === "killed");
      if (killed.length > 0 && failure === undefined) {
        failure = new HanseError(
          "CLI_CHECK_STOP",
          "unavailable",
          `${killed.map((one) => one.id).join(", ")} did not stop in time`,
        );
      }
    });
  }
  rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  const ms = Math.round(performance.now() - began);
  const ok = failure === undefined;
  console.result({ ok, ms, steps: steps.records }, () =>
    console.line(
      ok
        ? console.paint.green(`check passed in ${formatDuration(ms)}`)
        : console.paint.red(`check failed after ${formatDuration(ms)}`),
    ),
  );
  if (failure !== undefined) throw failure;
  return ok;
}

function fail(message: string): never {
  throw new HanseError("CLI_CHECK_FAILED", "rejected", message);
}

async function walk(
  deeds: DeedsNetwork,
  dir: string,
  steps: Steps,
  signal: AbortSignal,
): Promise<void> {
  const { network, ledger, accounts } = deeds;
  const stopIfAsked = () => {
    if (signal.aborted) throw new HanseError("CLI_INTERRUPTED", "unavailable", "interrupted");
  };
  const call = (name: string, contract: string, params: Record<string, CborValue>) => {
    stopIfAsked();
    const { keyPair } = accounts.get(name)!;
    return ledger.execute(keyPair, { contract, params: new Map(Object.entries(params)) });
  };
  // A real file that everybody has: the licence of this very repository.
  const document = path.join(dir, "deed.txt");
  writeFileSync(document, readFileSync(path.join(REPOSITORY_FOLDER, "LICENSE")));
  const hash = hashFile(document);

  const deposit = await steps.run(
    "anna deposits a deed (its hash; the file stays with her)",
    () =>
      call("anna", "DepositDeed", {
        Hash: hash,
        Title: "Notice of termination",
        Claimant: "Miller",
        Addressee: "Smith",
        Bailiff: "bailiff-nord",
      }),
    describePlace,
  );
  const id = Number(deposit.outcome!.result);
  await steps.run(
    "bruno of another firm may not withdraw it",
    () => expectRefusal(() => call("bruno", "WithdrawDeed", { Id: id })),
    (code) => code,
  );
  await steps.run(
    "berta accepts and serves it",
    async () => {
      await call("berta", "AcceptDeed", { Id: id });
      return call("berta", "RecordService", {
        Id: id,
        // Ledger time, whole seconds: the service may not lie in the future of its block.
        Time: Math.floor(Date.now() / 1000),
        Place: "Harbour Street 1",
        Method: "in person",
        Recipient: "Smith",
      });
    },
    describePlace,
  );
  await steps.run("clara of the court reads it as served", async () => {
    const shown = (await ledger.query("ShowDeed", new Map<string, CborValue>([["Id", id]]), {
      caller: accounts.get("clara")!.keyPair,
    })) as Readonly<Record<string, unknown>>;
    if (shown.state !== "served" || shown.hash !== hash) {
      fail(`the court reads another deed: ${toJson(shown, 0)}`);
    }
  });
  await steps.run(
    "all nodes hold the same record",
    () => waitForAgreement(network, signal),
    (text) => text,
  );
  const receipt = path.join(dir, "deed.receipt");
  await steps.run(
    "export the receipt from another node",
    async () => {
      const other = await openLedger(network.nodes.at(-1)!.apiUrl, 10_000);
      const bytes = addDocuments(await other.receipt(deposit.id), [fromHex(hash)]);
      writeFileSync(receipt, bytes);
      return bytes.length;
    },
    (length) => `${length} bytes`,
  );
  await verifyAsOutsider({ dir, receipt, document, genesis: network.genesisFile }, steps);
}

function describePlace(view: TransactionView): string {
  return `final in block ${view.height}`;
}

/** The code of the refusal that must come. */
async function expectRefusal(work: () => Promise<TransactionView>): Promise<string> {
  try {
    await work();
  } catch (error) {
    if (error instanceof HanseError && !error.code.startsWith("CLI_")) return error.code;
    throw error;
  }
  return fail("a call that must be refused went through");
}

/** Resolves once every node stands at one height with one state root. */
async function waitForAgreement(network: NetworkFolder, signal: AbortSignal): Promise<string> {
  const until = performance.now() + AGREE_TIMEOUT_MS;
  for (;;) {
    const nodes = await readNetworkStatus(network);
    const { agree, forked, answering, total, heightMax } = compareNodes(nodes);
    if (forked) fail("nodes at one height hold different state roots");
    if (agree && answering === total) {
      return `height ${heightMax}, state root ${nodes[0]!.stateRoot!.slice(0, 12)}…`;
    }
    if (performance.now() > until || signal.aborted) {
      const heights = nodes.map((node) => `${node.id} ${node.height ?? node.health}`).join(", ");
      fail(`the nodes do not agree: ${heights}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

interface Outsider {
  readonly dir: string;
  readonly receipt: string;
  readonly document: string;
  readonly genesis: string;
}

/** The outsider has three files in an empty folder, a program, and nothing else. */
async function verifyAsOutsider(files: Outsider, steps: Steps): Promise<void> {
  const folder = path.join(files.dir, "outsider");
  mkdirSync(folder);
  const genesis = path.join(folder, "genesis.json");
  writeFileSync(genesis, readFileSync(files.genesis));
  const judge = (receipt: string, document: string) =>
    verifyOffline({ receipt, genesis, documents: [document] });
  await steps.run(
    "an outsider verifies receipt and file offline",
    async () => {
      const verdict = await judge(files.receipt, files.document);
      if (!verdict.ok) fail(`refused: ${verdict.reason}`);
      return verdict.checks.length;
    },
    (count) => `${count} checks`,
  );
  const flip = (source: string, name: string, at: (length: number) => number) => {
    const bytes = readFileSync(source);
    const place = at(bytes.length);
    bytes[place]! ^= 1;
    const changed = path.join(folder, name);
    writeFileSync(changed, bytes);
    return changed;
  };
  await steps.run(
    "one byte of the receipt flipped: refused",
    async () => {
      const reasons = new Set<string>();
      for (const share of [0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999]) {
        const changed = flip(files.receipt, "changed.receipt", (length) =>
          Math.floor(length * share),
        );
        const verdict = await judge(changed, files.document);
        if (verdict.ok) fail(`a receipt with a flipped byte (at ${share}) was accepted`);
        reasons.add(verdict.reason ?? "");
      }
      return [...reasons].at(-1)!;
    },
    (reason) => reason,
  );
  await steps.run(
    "one byte of the file flipped: refused",
    async () => {
      const changed = flip(files.document, "changed.txt", (length) => length >> 1);
      const verdict = await judge(files.receipt, changed);
      if (verdict.ok) fail("a changed file was accepted");
      return verdict.reason ?? "";
    },
    (reason) => reason,
  );
}
