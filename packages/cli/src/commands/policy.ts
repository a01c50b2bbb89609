/** `hanse ledger ordering explain|maintenance`: what the validator policy counts, and being away. */
import type { Explained } from "@hanse/ordering";
import type { KeyPair } from "@hanse/protocol";
import type { Command } from "commander";
import { type LedgerClient, openLedger } from "../client/ledger-client.ts";
import {
  type CommandContext,
  nodeUrlOf,
  parseInteger,
  signingAccount,
  timeoutMsOf,
} from "../command-context.ts";
import type { ExitCode } from "../output/exit-codes.ts";
import type { Runner } from "../program.ts";
import { showTransaction } from "./call.ts";

/** Reads with the caller's account, or with any of the network folder. */
export type Reader = (
  context: CommandContext,
) => Promise<{ readonly ledger: LedgerClient; readonly key: KeyPair }>;

interface PolicyView {
  readonly policy: "fixed" | "dpoa" | "posr";
  readonly policyParams: Readonly<Record<string, number>>;
  readonly height: number;
  readonly epoch?: { readonly number: number; readonly from: number; readonly to: number };
  readonly maintenance?: readonly {
    readonly id: string;
    readonly fromEpoch: number;
    readonly toEpoch: number;
  }[];
  readonly members: readonly {
    readonly id: string;
    readonly vote: number;
    readonly propose: number;
    /** Of posr. */
    readonly why?: Explained | null;
    /** Of dpoa; null = nothing counts against it. */
    readonly record?: {
      readonly turns: number;
      readonly untilHeight: number;
      readonly untilTime: number;
    } | null;
  }[];
}

const epochOf = (option: string) => (value: string) =>
  parseInteger(option, value, 0, Number.MAX_SAFE_INTEGER);

export function addPolicyCommands(ordering: Command, run: Runner, reader: Reader): void {
  ordering
    .command("explain [node]")
    .description("Why each validator, or the one named, proposes as often as it does.")
    .action(
      run(async (context: CommandContext, node: string | undefined) => {
        const { ledger, key } = await reader(context);
        const input = node === undefined ? {} : { node };
        const view = (await ledger.nativeQuery("presence.policy", input, key)) as PolicyView;
        context.console.result(view, () => {
          for (const line of renderPolicy(view, context.console.paint)) context.console.line(line);
        });
      }),
    );
  ordering
    .command("maintenance <node>")
    .description("Announce that a validator will be away; policy posr does not count it then.")
    .requiredOption(
      "--from-epoch <epoch>",
      "first epoch away, two ahead at least",
      epochOf("--from-epoch"),
    )
    .requiredOption("--to-epoch <epoch>", "first epoch back", epochOf("--to-epoch"))
    .action(
      run(
        async (
          context: CommandContext,
          node: string,
          { fromEpoch, toEpoch }: { fromEpoch: number; toEpoch: number },
        ): Promise<ExitCode> => {
          const account = await signingAccount(context);
          const ledger = await openLedger(nodeUrlOf(context), timeoutMsOf(context));
          const args = { node, fromEpoch, toEpoch };
          const call = { module: "presence", action: "maintenance", args };
          return showTransaction(context.console, await ledger.execute(account.keyPair, call));
        },
      ),
    );
}

type Paint = CommandContext["console"]["paint"];

/** Lines for people. */
export function renderPolicy(view: PolicyView, paint: Paint): string[] {
  const params = Object.entries(view.policyParams).map(([name, value]) => `${name}=${value}`);
  const lines = [
    `policy ${paint.bold(view.policy)}${params.length === 0 ? "" : ` (${params.join(", ")})`} at height ${view.height}`,
  ];
  if (view.epoch !== undefined) {
    const { number, from, to } = view.epoch;
    lines.push(`epoch ${number}: blocks ${from} to ${to}`);
  }
  for (const { id, fromEpoch, toEpoch } of view.maintenance ?? []) {
    lines.push(`maintenance: ${id} in epochs ${fromEpoch} to ${toEpoch - 1}`);
  }
  for (const { id, propose, why, record } of view.members) {
    lines.push("", `${paint.bold(id)}  propose weight ${propose}`);
    if (why !== undefined && why !== null) {
      for (const part of why.from) lines.push(...renderExplained(part, 1, paint));
    }
    if (record !== undefined && record !== null) {
      const missed = record.turns.toString(2).replaceAll("0", "").length;
      if (missed > 0) lines.push(`  ${missed} of the last turns missed`);
      if (record.untilHeight > 0) lines.push(`  pauses until height ${record.untilHeight}`);
      if (record.untilTime > 0) {
        lines.push(`  pauses until ${new Date(record.untilTime).toISOString()}`);
      }
    }
  }
  return lines;
}

function renderExplained({ what, value, on, from }: Explained, depth: number, paint: Paint) {
  const where = on === undefined ? "" : paint.dim(`  ${on}`);
  const lines: string[] = [`${"  ".repeat(depth)}${value}  ${what}${where}`];
  for (const part of from) lines.push(...renderExplained(part, depth + 1, paint));
  return lines;
}
