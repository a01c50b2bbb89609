/** `hanse ledger recovery`: the document by which a ledger goes on that lost its quorum for good. */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import {
  decodeRecovery,
  encodeRecovery,
  isResilient,
  type RecoveryDocument,
  recoveryMessage,
} from "@hanse/ordering";
import {
  createValidatorSet,
  fromHex,
  HanseError,
  type KeyPair,
  publicKeyFromText,
  publicKeyToText,
  quorumWeight,
  readyKeyBackends,
  signMessage,
  toHex,
  totalWeight,
  trustedSetToJson,
} from "@hanse/protocol";
import type { Command } from "commander";
import { readRules, readSets } from "../client/governance.ts";
import { openLedger } from "../client/ledger-client.ts";
import { type CommandContext, nodeUrlOf, signingAccount, timeoutMsOf } from "../command-context.ts";
import { usageError } from "../output/report-error.ts";
import type { Runner } from "../program.ts";

interface DraftOptions {
  readonly members: string;
  readonly quorum?: string;
}

export function addRecoveryCommands(ledger: Command, run: Runner): void {
  const recovery = ledger
    .command("recovery")
    .description("Go on after more validators are lost for good than the ledger tolerates.")
    .addHelpText(
      "after",
      `
For a ledger that stands still because too many validators are gone and will not come back. Ask every
node that is left how far it is (hanse status); draw the document up at the one that is furthest;
administrators of more than two thirds of the organizations sign the same file, one after the other;
each node that is left is then started with --recovery FILE. Members that were given up must never
run again: bring them back as new nodes.

Examples:
  hanse ledger recovery draft way-out.recovery --members harbour/node-1,court/node-1 --as court-admin
  hanse ledger recovery sign way-out.recovery --as court-admin
  hanse ledger recovery show way-out.recovery
  hanse ledger recovery anchor way-out.recovery -o trusted.json     once the ledger goes on
  node main.ts --config nodes/court-node-1/node.toml --recovery way-out.recovery
`,
    );
  recovery
    .command("draft <file>")
    .description("Write the unsigned document from where the asked node stands.")
    .requiredOption("--members <ids>", "validators to go on with, with commas between them")
    .option("--quorum <rule>", "byzantine or crash; as it is if left out")
    .action(
      run((context: CommandContext, file: string, options: DraftOptions) =>
        draft(context, file, options),
      ),
    );
  recovery
    .command("sign <file>")
    .description("Add an administrator's signature for its organization.")
    .option("--org <organization>", "whose administrator signs; a node is asked if left out")
    .action(
      run((context: CommandContext, file: string, { org }: { readonly org?: string }) =>
        sign(context, file, org),
      ),
    );
  recovery
    .command("show <file>")
    .description("What a document says and who has signed it.")
    .action(
      run(async (context: CommandContext, file: string) => {
        await readyKeyBackends();
        print(context, file, load(file));
      }),
    );
  recovery
    .command("anchor <file>")
    .description(
      "Write what an outsider trusts from then on: the first block of the new epoch and its set.",
    )
    .requiredOption("-o, --output <file>", "trusted block and set (JSON), for --trust")
    .action(
      run((context: CommandContext, file: string, { output }: { readonly output: string }) =>
        anchor(context, file, output),
      ),
    );
}

/** The block's hash comes from the asked node, whose operator hands the anchor out. */
async function anchor(context: CommandContext, file: string, output: string): Promise<void> {
  await readyKeyBackends();
  const { ledgerId, height: last, set } = load(file);
  const ledger = await openLedger(nodeUrlOf(context), timeoutMsOf(context));
  const height = last + 1;
  const { hash } = await ledger.block(height);
  const trust = { ledgerId, height, headerHash: fromHex(hash), set };
  writeFileSync(output, `${JSON.stringify(trustedSetToJson(trust), null, 2)}\n`);
  const facts = { file: path.resolve(output), height, headerHash: hash };
  context.console.result(facts, () => context.console.line(`${output}: block ${height}, ${hash}`));
}

async function draft(
  context: CommandContext,
  file: string,
  { members, quorum }: DraftOptions,
): Promise<void> {
  if (quorum !== undefined && quorum !== "byzantine" && quorum !== "crash") {
    usageError("--quorum: byzantine or crash");
  }
  const { keyPair } = await signingAccount(context);
  const ledger = await openLedger(nodeUrlOf(context), timeoutMsOf(context));
  const { committedHeight, blockHash, stateRoot } = await ledger.status();
  const { ordering } = await readRules(ledger, keyPair);
  const { decided } = await readSets(ledger, keyPair);
  const ids = members.split(",").map((id) => id.trim());
  for (const id of ids) {
    if (decided.members.some((member) => member.id === id)) continue;
    const known = decided.members.map((member) => member.id).join(", ");
    usageError(`--members: ${id} is no validator; there are ${known}`);
  }
  const set = createValidatorSet(
    decided.members
      .filter(({ id }) => ids.includes(id))
      .map((member) => ({ ...member, key: publicKeyFromText(member.key, "members.key") })),
    quorum ?? decided.quorum,
  );
  if (!isResilient(set.members)) {
    usageError("--members: the heaviest of them would hold a third of the weight or more");
  }
  const document: RecoveryDocument = {
    ledgerId: fromHex(ledger.ledgerId),
    height: committedHeight,
    blockHash: fromHex(blockHash),
    stateRoot: fromHex(stateRoot),
    engineEpoch: ordering.engineEpoch + 1,
    policy: ordering.policy,
    policyParams: ordering.policyParams,
    set,
    signatures: [],
  };
  save(file, document);
  print(context, file, document);
}

async function sign(context: CommandContext, file: string, org?: string): Promise<void> {
  const { keyPair } = await signingAccount(context);
  const document = load(file);
  const organization = org ?? (await organizationOf(context, keyPair));
  const text = publicKeyToText(keyPair.publicKey);
  const others = document.signatures.filter(({ key }) => publicKeyToText(key) !== text);
  const signature = signMessage(keyPair, recoveryMessage(document));
  const own = { organization, key: keyPair.publicKey, signature };
  const signed = { ...document, signatures: [...others, own] };
  save(file, signed);
  print(context, file, signed);
}

async function organizationOf(context: CommandContext, keyPair: KeyPair): Promise<string> {
  const ledger = await openLedger(nodeUrlOf(context), timeoutMsOf(context));
  const account = await ledger.account(keyPair);
  if (account !== undefined) return account.org;
  throw new HanseError(
    "CLI_RECOVERY_ACCOUNT",
    "notFound",
    "this key is no account of the ledger: sign with an administrator's, --as ACCOUNT",
  );
}

function load(file: string): RecoveryDocument {
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(readFileSync(file));
  } catch (cause) {
    throw new HanseError("CLI_NO_FILE", "notFound", `${file}: cannot be read`, { cause });
  }
  return decodeRecovery(bytes);
}

/** In one step: signatures of others are never lost to a torn write. */
function save(file: string, document: RecoveryDocument): void {
  const beside = `${file}.new`;
  writeFileSync(beside, encodeRecovery(document), { mode: 0o644 });
  renameSync(beside, file);
}

function print(context: CommandContext, file: string, document: RecoveryDocument): void {
  const { height, engineEpoch, policy, set } = document;
  const facts = {
    file: path.resolve(file),
    ledgerId: toHex(document.ledgerId),
    height,
    blockHash: toHex(document.blockHash),
    stateRoot: toHex(document.stateRoot),
    engineEpoch,
    policy,
    quorum: set.quorum,
    members: set.members.map(({ id }) => id),
    signedBy: [...new Set(document.signatures.map(({ organization }) => organization))],
  };
  context.console.result(facts, () => {
    const { console } = context;
    console.line(`${file}: epoch ${engineEpoch} begins above block ${height}`);
    console.line(`  block   ${facts.blockHash}`);
    console.line(`  state   ${facts.stateRoot}`);
    console.line(
      `  members ${facts.members.join(", ")} (${set.quorum}, ${quorumWeight(set)} of ${totalWeight(set)})`,
    );
    console.line(`  signed  ${facts.signedBy.join(", ") || "by nobody yet"}`);
  });
}
