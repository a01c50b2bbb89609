/** Built-ins: contracts, settings, access checks, errors. */
import { parseNeedle } from "../parser/parse.ts";
import {
  CONTRACT_LEVELS,
  callContract,
  namedValues,
  requireContract,
  resolveName,
  runConditions,
} from "../runtime/calls.ts";
import { NeedleFault, panic } from "../runtime/fault.ts";
import { FUEL_CALL, FUEL_CONTRACT } from "../runtime/limits.ts";
import type { NeedleRun } from "../runtime/run.ts";
import { parentName } from "../runtime/system-variables.ts";
import { byteLength } from "../values/byte-text.ts";
import { shorten } from "../values/convert.ts";
import type { NeedleMap, NeedleValue } from "../values/value.ts";
import { type Builtin, builtin, parameter as p, variadicBuiltin } from "./builtin.ts";
import { chargeWork } from "./values.ts";

/** Conditions may be entered by conditions; each takes this much of the host's stack. */
const CONDITION_LEVELS = 20;

/** Whether the contract that does this very operation is one of those named. */
function contractAccess(run: NeedleRun, names: readonly NeedleValue[]): boolean {
  const caller = run.callStack.findLast((name) => name.startsWith("@"));
  if (caller === undefined) return false;
  return names.some((name) => typeof name === "string" && resolveName(run, name) === caller);
}

/** Runs the `conditions` of contracts; all must pass. */
function contractConditions(run: NeedleRun, names: readonly NeedleValue[]): boolean {
  for (const name of names) {
    if (typeof name !== "string" || name === "") {
      throw panic("NEEDLE_CONDITIONS_NAME", "empty contract name in ContractConditions");
    }
    const fullName = resolveName(run, name);
    const contract = run.host.findContract(fullName);
    if (contract === undefined) {
      throw panic("NEEDLE_UNKNOWN_CONTRACT", `Unknown contract ${shorten(name)}`);
    }
    // Without conditions there is nothing to fail, nor to ask the others for.
    if (contract.conditions === undefined) return true;
    run.useFuel(FUEL_CALL + FUEL_CONTRACT);
    const { scope } = run;
    const variables = run.conditionVariables();
    run.scope = { contract, variables, parent: parentName(scope.contract, contract), outer: scope };
    // A name written without ecosystem does not count as a contract that acts (ContractAccess).
    run.callStack.push(name.startsWith("@") ? fullName : contract.name);
    run.enter(CONDITION_LEVELS);
    runConditions(run, contract.conditions);
    run.leave(CONDITION_LEVELS);
    run.callStack.pop();
    run.scope = scope;
  }
  return true;
}

function evaluateOrFail(run: NeedleRun, condition: string): void {
  if (condition === "") throw panic("NEEDLE_CONDITION_EMPTY", "the condition is empty");
  if (!run.evaluate(condition)) throw panic("NEEDLE_ACCESS", "access denied");
}

/** Texts that may be stored as conditions: constants and calls of the three access functions. */
export function validateConditionText(condition: string): void {
  const text = condition.trim();
  if (text === "") throw panic("NEEDLE_CONDITION_EMPTY", "the condition is empty");
  if (text === "0" || text === "1" || text === "true" || text === "false") return;
  const match = /^(ContractConditions|ContractAccess|RoleAccess|HasRole)\s*\(([^()]*)\)$/.exec(
    text,
  );
  if (match === null) {
    throw panic("NEEDLE_CONDITION", `condition ${shorten(text)} is not allowed`);
  }
  for (const argument of match[2]!.split(",")) {
    const shape =
      match[1] === "RoleAccess"
        ? /^\s*[0-9]{1,18}\s*$/
        : match[1] === "HasRole"
          ? /^\s*"[\w.-]+"\s*$/
          : /^\s*"\s*@?\w+\s*"\s*$/;
    if (!shape.test(argument)) {
      throw panic("NEEDLE_CONDITION", "incorrect parameter of the condition function");
    }
  }
}

/** Names of the contracts and functions of a program, in order. */
export function topLevelNames(source: string): readonly string[] {
  return parseNeedle(source).program.items.map((item) => item.name.text);
}

function validateReplacement(run: NeedleRun, replacement: string, before: string): void {
  chargeWork(run, 16 * (replacement.length + before.length));
  const names = topLevelNames(replacement);
  const old = topLevelNames(before);
  if (names.length !== old.length) {
    throw panic("NEEDLE_CONTRACT_NAMES", "contract cannot be removed or inserted");
  }
  if (!names.every((name) => old.includes(name))) {
    throw panic("NEEDLE_CONTRACT_NAMES", "contracts or functions names cannot be changed");
  }
}

function throwException(_: NeedleRun, id: string, text: string): undefined {
  const cut = byteLength(text) > 150 ? `${text.slice(0, 150).toWellFormed()}...` : text;
  throw new NeedleFault("exception", "NEEDLE_EXCEPTION", cut, id.slice(0, 32).toWellFormed());
}

function declaredOnly(run: NeedleRun, fullName: string, given: NeedleMap) {
  const fields = requireContract(run, fullName).fields;
  const values = new Map<string, NeedleValue>();
  for (const { name } of fields) {
    const value = given.entries.get(name);
    if (value !== undefined) values.set(name, value);
  }
  return values;
}

const condition = p("condition", "string");
const names = p("names", "string");

export const ACCESS_BUILTINS: readonly Builtin[] = [
  variadicBuiltin(
    "ContractAccess",
    [names],
    "bool",
    "Whether the contract that directly does this is one of those named.",
    {},
    contractAccess,
  ),
  variadicBuiltin(
    "ContractConditions",
    [names],
    "bool",
    "Runs the conditions of the contracts named; fails as they fail.",
    {},
    contractConditions,
  ),
  builtin(
    "Eval",
    [condition],
    "none",
    "Fails unless a condition is true.",
    { fuel: 10 },
    evaluateOrFail,
  ),
  builtin("CheckCondition", [condition], "bool", "Whether a condition is true.", {}, (run, text) =>
    text === "" ? false : run.evaluate(text),
  ),
  builtin(
    "ValidateCondition",
    [condition, p("ecosystem", "int")],
    "none",
    "Fails unless a text may be stored as a condition.",
    { fuel: 30 },
    (_, text) => validateConditionText(text),
  ),
  builtin(
    "ValidateEditContractNewValue",
    [p("new", "string"), p("old", "string")],
    "none",
    "Fails when a program would not keep its contracts and functions.",
    {},
    validateReplacement,
  ),
  builtin(
    "CallContract",
    [p("name", "string"), p("parameters", "map")],
    "any",
    "Runs a contract with parameters from a map and gives its $result.",
    { writes: true },
    (run, name, given) => {
      const fullName = resolveName(run, name);
      return callContract(run, fullName, declaredOnly(run, fullName, given), CONTRACT_LEVELS);
    },
  ),
  variadicBuiltin(
    "ExecContract",
    [p("name", "string"), p("parameters", "string"), p("values", "any")],
    "any",
    "Runs a contract: full name, comma-separated parameter names, their values.",
    { writes: true },
    (run, [name, list, ...values]) =>
      callContract(
        run,
        resolveName(run, name as string),
        namedValues(list as string, values),
        CONTRACT_LEVELS,
      ),
  ),
  builtin(
    "Settings",
    [p("contract", "string"), p("key", "string")],
    "any",
    "Value from the settings of a contract; empty when it has none of this name.",
    {},
    (run, name, key) => {
      const contract = run.host.findContract(resolveName(run, name));
      if (contract === undefined) {
        throw panic("NEEDLE_UNKNOWN_CONTRACT", `unknown contract ${shorten(name)}`);
      }
      return contract.settings.get(key) ?? "";
    },
  ),
  builtin(
    "ContractName",
    [p("text", "string")],
    "string",
    "Name of the first contract or function of a program text.",
    {},
    (run, text) => {
      chargeWork(run, 16 * text.length);
      const name = topLevelNames(text)[0];
      if (name === undefined) throw panic("NEEDLE_CONTRACT_NAMES", "the text has no contract");
      return name;
    },
  ),
  builtin(
    "IsObject",
    [p("name", "string"), p("ecosystem", "int")],
    "bool",
    "Whether a contract or function of this name exists.",
    { fuel: 10 },
    (run, name, ecosystem) =>
      run.host.findContract(name.startsWith("@") ? name : `@${ecosystem}${name}`) !== undefined ||
      run.host.findFunction(name) !== undefined,
  ),
  builtin(
    "Throw",
    [p("code", "string"), p("text", "string")],
    "none",
    "Ends the transaction with a coded error.",
    {},
    throwException,
  ),
];
