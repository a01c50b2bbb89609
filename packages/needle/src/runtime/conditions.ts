/** Stored conditions: expressions in the rows of the ledger that decide on access. */
import { compileCondition } from "../compiler/compile.ts";
import { diagnosticToText } from "../diagnostics/diagnostic.ts";
import { isTruthy } from "../values/convert.ts";
import type { NeedleValue } from "../values/value.ts";
import { resultOf, runPart } from "./calls.ts";
import { panic } from "./fault.ts";
import { FUEL_CALL } from "./limits.ts";
import type { NeedleRun } from "./run.ts";

/** Longest text of a condition, in UTF-16 units. */
export const CONDITION_CHARS_MAX = 10_000;

const CONDITION_LEVELS = 20;

/**
 * Evaluates a condition in a run: it sees the system variables, the data fields of the transaction
 * and `extra`; it cannot write; it burns the fuel of the run.
 */
export function evaluateStored(
  run: NeedleRun,
  text: string,
  extra?: ReadonlyMap<string, NeedleValue>,
): boolean {
  if (text.trim() === "") throw panic("NEEDLE_CONDITION_EMPTY", "the condition is empty");
  if (text === "1" || text === "true") return true;
  if (text === "0" || text === "false") return false;
  if (text.length > CONDITION_CHARS_MAX) {
    throw panic("NEEDLE_CONDITION", `the condition is longer than ${CONDITION_CHARS_MAX}`);
  }
  const ecosystem = run.system.ecosystemId;
  let condition = run.conditions.get(ecosystem, text);
  if (condition === undefined) {
    const compiled = compileCondition(text, ecosystem);
    if (compiled.condition === undefined) {
      const first = compiled.diagnostics.find((one) => one.severity === "error")!;
      throw panic("NEEDLE_CONDITION", `condition ${text}: ${diagnosticToText(first)}`);
    }
    condition = compiled.condition;
    run.conditions.add(condition);
  }
  run.useFuel(FUEL_CALL);
  const variables = run.conditionVariables();
  if (extra !== undefined) for (const [name, value] of extra) variables.set(name, value);
  const { scope, readOnly, frame, depth, levels } = run;
  run.scope = {
    contract: scope.contract,
    variables,
    parent: scope.parent,
    outer: scope,
    stored: true,
  };
  run.readOnly = true;
  // Hosts may go on after a failed condition: everything is put back as it was.
  try {
    run.enter(CONDITION_LEVELS);
    return isTruthy(resultOf(runPart(run, condition.code), "eval"));
  } finally {
    run.scope = scope;
    run.readOnly = readOnly;
    run.frame = frame;
    run.depth = depth;
    run.levels = levels;
  }
}
