/** The read-only `$` variables that every run has. */
import { toHex } from "@hanse/protocol";
import type { NeedleProfile } from "../contracts/unit.ts";
import { NeedleArray, type NeedleValue, type TypeName } from "../values/value.ts";
import type { NeedleRun } from "./run.ts";

export interface SystemVariable {
  readonly name: string;
  readonly type: TypeName;
  readonly doc: string;
  readonly read: (run: NeedleRun, profile: NeedleProfile) => NeedleValue;
}

function variable(
  name: string,
  type: TypeName,
  doc: string,
  read: SystemVariable["read"],
): readonly [string, SystemVariable] {
  return [name, { name, type, doc, read }];
}

function bareName(fullName: string): string {
  return fullName.replace(/^@[0-9]*/, "");
}

export const SYSTEM_VARIABLES: ReadonlyMap<string, SystemVariable> = new Map([
  variable("key_id", "int", "number of the sender's account", (run) => run.system.keyId),
  variable("account_id", "string", "address of the sender", (run) => run.system.accountId),
  variable("ecosystem_id", "int", "ecosystem of the transaction", (run) => run.system.ecosystemId),
  variable("type", "int", "number of the contract called", (run) => run.system.contractId),
  variable(
    "time",
    "int",
    "time of the block: milliseconds since 1970, in the lenient profile seconds",
    (run, profile) => (profile === "lenient" ? run.system.timeMs / 1_000n : run.system.timeMs),
  ),
  variable("block", "int", "height of the block", (run) => run.system.block),
  variable(
    "block_time",
    "int",
    "time of the block, seconds since 1970",
    (run) => run.system.timeMs / 1_000n,
  ),
  variable(
    "block_key_id",
    "int",
    "account of the block's proposer",
    (run) => run.system.blockKeyId,
  ),
  variable(
    "node_position",
    "int",
    "place of the proposer among the validators",
    (run) => run.system.nodePosition,
  ),
  variable("txhash", "bytes", "hash of the transaction", (run) =>
    run.system.transactionHash.slice(),
  ),
  variable("txcost", "int", "fuel limit of the transaction", (run) => BigInt(run.fuelLimit)),
  variable(
    "original_contract",
    "string",
    "bare name of the contract called by the sender",
    (run) => run.topScope.contract?.name ?? "",
  ),
  variable(
    "this_contract",
    "string",
    "bare name of the running contract",
    (run) => run.scope.contract?.name ?? "",
  ),
  variable(
    "parent",
    "string",
    "name of the calling contract, empty at top level",
    (run) => run.scope.parent,
  ),
  variable("stack", "array", "full names on the call stack, outermost first", (run) => {
    run.useMemory(64 * run.callStack.length);
    return NeedleArray.of([...run.callStack]);
  }),
  variable("guest_key", "string", "account of visitors", () => "-110277540701013350"),
  variable("guest_account", "string", "address of visitors", () => "1833-6466-5330-0853-8266"),
  variable("black_hole_key", "int", "account nobody holds", () => 0n),
  variable("black_hole_account", "string", "its address", () => "0000-0000-0000-0000-0000"),
  variable("white_hole_key", "int", "account that tokens are issued from", () => 5555n),
  variable("white_hole_account", "string", "its address", () => "0000-0000-0000-0000-5555"),
  variable("pre_block_data_hash", "string", "hash of the block before, hexadecimal", (run) =>
    toHex(run.system.previousBlockHash),
  ),
  variable("gen_block", "bool", "always false: all nodes see the same", () => false),
  variable("time_limit", "int", "always 0: fuel alone limits a run", () => 0n),
]);

/** Names that programs may neither set nor use as data fields. */
const RESERVED: ReadonlySet<string> = new Set(["sc", "contract", "data"]);

export function isReservedVariable(name: string): boolean {
  return SYSTEM_VARIABLES.has(name) || RESERVED.has(name) || name.startsWith("loop_");
}

/** `$parent` of a callee: the caller's name, bare when both belong to one ecosystem. */
export function parentName(
  caller: { readonly fullName: string; readonly ecosystem: bigint } | undefined,
  callee: { readonly ecosystem: bigint },
): string {
  if (caller === undefined) return "";
  return caller.ecosystem === callee.ecosystem ? bareName(caller.fullName) : caller.fullName;
}
