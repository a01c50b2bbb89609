/** `hanse account`: people of this network whose keys are in its folder. */
import path from "node:path";
import {
  isKeyAlgorithm,
  KEY_ALGORITHMS,
  type KeyAlgorithm,
  type PublicKey,
  publicKeyFromText,
  readyKeyBackends,
} from "@hanse/protocol";
import type { Command } from "commander";
import { registerAccount } from "../client/accounts.ts";
import { openLedger } from "../client/ledger-client.ts";
import {
  type CommandContext,
  nodeUrlOf,
  openNetwork,
  signingAccount,
  timeoutMsOf,
} from "../command-context.ts";
import {
  accountIdHex,
  createAccountKey,
  listAccountNames,
  loadNamedAccount,
  saveAccountKey,
} from "../network-folder/account-key.ts";
import type { ExitCode } from "../output/exit-codes.ts";
import { usageError } from "../output/report-error.ts";
import type { Runner } from "../program.ts";
import { showTransaction } from "./call.ts";
import { validateAccountName } from "./key.ts";

export function addAccountCommands(program: Command, run: Runner): void {
  const account = program.command("account").description("People and their keys.");
  account
    .command("list")
    .description("List the accounts of the network folder with what the ledger knows of them.")
    .action(run(listAccounts));
  account
    .command("create <name>")
    .description("Register a person of the signing administrator's organization, with a new key.")
    .option("--roles <names>", "roles, separated by commas", "")
    .option("--algorithm <name>", `one of ${Object.keys(KEY_ALGORITHMS).join(", ")}`, "ed25519")
    .option("--public-key <key>", "register this key (ed25519:hex) instead of making one")
    .addHelpText(
      "after",
      "\nExample:\n  hanse account create emil --roles lawyer --as adler-law-admin\n",
    )
    .action(run(createAccount));
}

interface CreateOptions {
  readonly roles: string;
  readonly publicKey?: string;
  readonly algorithm: string;
}

function obtainKey(
  context: CommandContext,
  name: string,
  algorithm: KeyAlgorithm,
  given: string | undefined,
): PublicKey {
  if (given !== undefined) return publicKeyFromText(given, "--public-key");
  const account = createAccountKey(name, algorithm);
  saveAccountKey(path.join(openNetwork(context).accountsFolder, `${name}.json`), account);
  return account.keyPair.publicKey;
}

/** Makes the key in the network folder, then registers it with the signer's organization. */
async function createAccount(
  context: CommandContext,
  name: string,
  options: CreateOptions,
): Promise<ExitCode> {
  validateAccountName(name);
  if (!isKeyAlgorithm(options.algorithm)) {
    usageError(
      `--algorithm ${options.algorithm}: expected ${Object.keys(KEY_ALGORITHMS).join(", ")}`,
    );
  }
  const admin = await signingAccount(context);
  const ledger = await openLedger(nodeUrlOf(context), timeoutMsOf(context));
  const roles = options.roles
    .split(",")
    .map((role) => role.trim())
    .filter((role) => role !== "");
  const key = obtainKey(context, name, options.algorithm, options.publicKey);
  const view = await registerAccount(ledger, admin.keyPair, { name, roles, key });
  return showTransaction(context.console, view);
}

async function listAccounts(context: CommandContext): Promise<void> {
  await readyKeyBackends();
  const network = openNetwork(context);
  const ledger = await openLedger(nodeUrlOf(context), timeoutMsOf(context));
  const accounts = await Promise.all(
    listAccountNames(network.accountsFolder).map(async (name) => {
      const key = loadNamedAccount(network.accountsFolder, name);
      const known = await ledger.account(key.keyPair);
      return {
        name,
        accountId: accountIdHex(key),
        org: known?.org,
        roles: known?.roles ?? [],
        status: known?.status ?? "unknown to the ledger",
        keyFile: path.join(network.accountsFolder, `${name}.json`),
      };
    }),
  );
  context.console.result({ accounts }, () =>
    context.console.table(
      ["NAME", "ORGANIZATION", "ROLES", "STATUS", "ACCOUNT ID"],
      accounts.map((one) => [
        one.name,
        one.org ?? "-",
        one.roles.join(", "),
        one.status,
        `${one.accountId.slice(0, 16)}…`,
      ]),
    ),
  );
}
