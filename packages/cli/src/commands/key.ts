/** `hanse key`: key files. */
import path from "node:path";
import {
  HanseError,
  isKeyAlgorithm,
  KEY_ALGORITHMS,
  publicKeyToText,
  readyKeyBackends,
} from "@hanse/protocol";
import type { Command } from "commander";
import type { CommandContext } from "../command-context.ts";
import {
  type AccountKey,
  accountIdHex,
  createAccountKey,
  loadAccountKey,
  saveAccountKey,
} from "../network-folder/account-key.ts";
import { usageError } from "../output/report-error.ts";
import type { Runner } from "../program.ts";

export function addKeyCommands(program: Command, run: Runner): void {
  const key = program.command("key").description("Create and show key files.");
  key
    .command("create <file>")
    .description("Write a new secret key to a file that only you can read.")
    .option("--algorithm <name>", `one of ${Object.keys(KEY_ALGORITHMS).join(", ")}`, "ed25519")
    .addHelpText("after", "\nExample:\n  hanse key create anna.json\n")
    .action(
      run(async (context: CommandContext, file: string, options: { algorithm: string }) => {
        if (!isKeyAlgorithm(options.algorithm)) {
          usageError(
            `--algorithm ${options.algorithm}: expected ${Object.keys(KEY_ALGORITHMS).join(", ")}`,
          );
        }
        await readyKeyBackends();
        const account = createAccountKey(path.basename(file, ".json"), options.algorithm);
        saveAccountKey(file, account);
        showKey(context, file, account);
      }),
    );
  key
    .command("show <file>")
    .description("Show the public key and account id of a key file; never the secret.")
    .action(
      run(async (context: CommandContext, file: string) => {
        await readyKeyBackends();
        showKey(context, file, loadAccountKey(file));
      }),
    );
}

function showKey(context: CommandContext, file: string, account: AccountKey): void {
  const facts = {
    file: path.resolve(file),
    algorithm: account.keyPair.publicKey.algorithm,
    publicKey: publicKeyToText(account.keyPair.publicKey),
    accountId: accountIdHex(account),
  };
  context.console.result(facts, () => {
    const { console } = context;
    console.line(`file        ${facts.file}`);
    console.line(`public key  ${facts.publicKey}`);
    console.line(`account id  ${facts.accountId}`);
  });
}

/** Refuses names that could not be file names or would be confusing in a terminal. */
export function validateAccountName(name: string): string {
  if (!/^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/u.test(name)) {
    throw new HanseError(
      "CLI_USAGE_NAME",
      "malformed",
      `name "${name}": 1 to 64 lower-case letters, digits, dots, hyphens or underscores`,
      { details: { field: "name" } },
    );
  }
  return name;
}
