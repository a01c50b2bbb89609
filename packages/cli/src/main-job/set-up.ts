/** From an empty folder to four nodes with an application and people; each step only if needed. */
import path from "node:path";
import { type CborValue, HanseError, readyKeyBackends } from "@hanse/protocol";
import { loadPackage } from "../applications/load-package.ts";
import { registerAccount } from "../client/accounts.ts";
import { type LedgerClient, openLedger } from "../client/ledger-client.ts";
import {
  type AccountKey,
  createAccountKey,
  listAccountNames,
  loadNamedAccount,
  saveAccountKey,
} from "../network-folder/account-key.ts";
import { createNetworkFolder } from "../network-folder/create-network.ts";
import {
  isNetworkFolder,
  loadNetworkFolder,
  type NetworkFolder,
} from "../network-folder/network-folder.ts";
import type { Steps } from "../output/progress.ts";
import { upNetwork } from "../processes/network-lifecycle.ts";
import { administratorOf, DEEDS_FOLDER, deedsTemplate, PEOPLE } from "./deeds-network.ts";

export interface DeedsNetwork {
  readonly network: NetworkFolder;
  readonly ledger: LedgerClient;
  /** Keys by account name. */
  readonly accounts: ReadonlyMap<string, AccountKey>;
}

export interface SetUpOptions {
  readonly dir: string;
  readonly portBase?: number;
  readonly steps: Steps;
  /** Ends the set-up between and inside steps. */
  readonly signal: AbortSignal;
}

const CALL_TIMEOUT_MS = 30_000;

/** Starts attached nodes: they stop when this process ends, however it ends. */
export async function setUpDeeds(options: SetUpOptions): Promise<DeedsNetwork> {
  const { steps } = options;
  await readyKeyBackends();
  const network = isNetworkFolder(options.dir)
    ? await steps.run(
        "open the network",
        async () => loadNetworkFolder(options.dir),
        (opened) => opened.folder,
      )
    : await steps.run(
        "create a network of four organizations",
        () =>
          createNetworkFolder({
            dir: options.dir,
            template: deedsTemplate(),
            now: Date.now(),
            ...(options.portBase === undefined ? {} : { portBase: options.portBase }),
          }),
        (created) => created.folder,
      );
  requireDeedsNetwork(network);
  await steps.run(
    `start ${network.nodes.length} nodes`,
    (progress) =>
      upNetwork(network, { attached: true, takeOver: true, progress, signal: options.signal }),
    () => "a process each, PostgreSQL included",
  );
  const ledger = await openLedger(network.nodes[0]!.apiUrl, CALL_TIMEOUT_MS);
  await installDeeds(network, ledger, steps);
  const accounts = await createPeople(network, ledger, steps);
  return { network, ledger, accounts };
}

function requireDeedsNetwork(network: NetworkFolder): void {
  const missing = deedsTemplate().organizations.filter(
    (org) => !network.nodes.some((node) => node.org === org.id),
  );
  if (missing.length > 0) {
    throw new HanseError(
      "CLI_OTHER_NETWORK",
      "conflict",
      `${network.folder}: holds another network (no node of ${missing.map((org) => org.id).join(", ")}); choose another folder with --dir`,
    );
  }
}

async function installDeeds(
  network: NetworkFolder,
  ledger: LedgerClient,
  steps: Steps,
): Promise<void> {
  const packed = loadPackage(DEEDS_FOLDER);
  const admin = loadNamedAccount(network.accountsFolder, administratorOf("adler-law"));
  await steps.run(
    "install the application deeds",
    async () => {
      const installed = await ledger.applications(admin.keyPair);
      const present = installed.find((app) => app.name === packed.app.name);
      if (present?.version === packed.app.version) return "was installed";
      const verb = present === undefined ? "app.install" : "app.upgrade";
      await ledger.execute(admin.keyPair, {
        contract: verb,
        params: new Map<string, CborValue>([["package", packed.bytes]]),
      });
      return present === undefined ? "installed" : `upgraded from ${present.version}`;
    },
    (how) => `${packed.app.version}, ${how}`,
  );
}

async function createPeople(
  network: NetworkFolder,
  ledger: LedgerClient,
  steps: Steps,
): Promise<ReadonlyMap<string, AccountKey>> {
  let created = 0;
  return steps.run(
    "create people",
    async (progress) => {
      for (const [i, person] of PEOPLE.entries()) {
        progress(i, PEOPLE.length, person.name);
        const known = listAccountNames(network.accountsFolder).includes(person.name);
        const account = known
          ? loadNamedAccount(network.accountsFolder, person.name)
          : createAccountKey(person.name);
        // The key is kept before it is registered: a key that nobody has would be an account lost.
        if (!known) {
          saveAccountKey(path.join(network.accountsFolder, `${person.name}.json`), account);
        }
        if (known && (await ledger.account(account.keyPair)) !== undefined) continue;
        const admin = loadNamedAccount(network.accountsFolder, administratorOf(person.org));
        await registerAccount(ledger, admin.keyPair, {
          name: person.name,
          org: person.org,
          roles: person.roles,
          key: account.keyPair.publicKey,
        });
        created++;
      }
      return new Map(
        listAccountNames(network.accountsFolder).map((name) => [
          name,
          loadNamedAccount(network.accountsFolder, name),
        ]),
      );
    },
    () => `${PEOPLE.map((person) => person.name).join(", ")}${created === 0 ? " were there" : ""}`,
  );
}
