/** Calls to closures. */
import type { Builtin } from "../builtins/builtin.ts";
import type { CallStep, CallTarget, FunctionInfo } from "../checker/resolution.ts";
import { fullContractName } from "../contracts/unit.ts";
import type { Arguments, CallExpression } from "../parser/ast.ts";
import {
  atSite,
  CONTRACT_LEVELS,
  callBuiltin,
  callContract,
  type GivenTail,
  invoke,
  located,
  namedValues,
  passArgument,
  resultOf,
} from "../runtime/calls.ts";
import { panic } from "../runtime/fault.ts";
import { Frame } from "../runtime/frame.ts";
import { FUEL_CALL, FUEL_EXTERN, MEMORY_VARIABLE } from "../runtime/limits.ts";
import { typeText } from "../values/convert.ts";
import { NeedleArray, type NeedleValue } from "../values/value.ts";
import type { Evaluate, Site } from "./closure.ts";
import { compileExpression, outerFrame } from "./expressions.ts";
import type { FunctionCompiler } from "./function-compiler.ts";

const NO_TAILS = new Map<string, NeedleValue>();

/** The call as an operand: its last result; a fault when there is none. */
export function compileCall(compiler: FunctionCompiler, node: CallExpression): Evaluate {
  const steps = compiler.resolution.calls.get(node)!;
  let piped: Evaluate | undefined;
  for (const step of steps) piped = compileStep(compiler, step, piped, asOperand);
  return piped!;
}

/** The call as a statement: results are dropped, there may be none. */
export function compileCallStatement(compiler: FunctionCompiler, node: CallExpression): Evaluate {
  const steps = compiler.resolution.calls.get(node)!;
  let piped: Evaluate | undefined;
  steps.forEach((step, index) => {
    const last = index === steps.length - 1;
    piped = compileStep(compiler, step, piped, last ? asStatement : asOperand);
  });
  return piped!;
}

/** All results of a call, for an assignment to several variables. */
export function compileCallResults(
  compiler: FunctionCompiler,
  node: CallExpression,
): (frame: Frame) => readonly NeedleValue[] {
  const steps = compiler.resolution.calls.get(node)!;
  // Two closures more than a plain expression has.
  compiler.level += 3;
  let results: readonly NeedleValue[] = [];
  let piped: Evaluate | undefined;
  steps.forEach((step, index) => {
    const last = index === steps.length - 1;
    piped = compileStep(
      compiler,
      step,
      piped,
      last
        ? (frame) => {
            results = frame.results ?? (frame.result === undefined ? [] : [frame.result]);
            return null;
          }
        : asOperand,
      last
        ? (value) => {
            results = value === undefined ? [] : [value];
            return null;
          }
        : undefined,
    );
  });
  compiler.level -= 3;
  return (f) => {
    piped!(f);
    const given = results;
    results = [];
    return given;
  };
}

/** What becomes of the frame of a finished script function. */
type Finish = (frame: Frame, name: string) => NeedleValue;
/** What becomes of the value of a finished built-in or contract. */
type FinishValue = (value: NeedleValue | undefined, name: string) => NeedleValue;

const asOperand: Finish = resultOf;
const asStatement: Finish = () => null;

function operandValue(value: NeedleValue | undefined, name: string): NeedleValue {
  if (value !== undefined) return value;
  throw panic("NEEDLE_NO_RESULT", `stack is empty: ${name} has returned no value`);
}

function compileStep(
  compiler: FunctionCompiler,
  step: CallStep,
  piped: Evaluate | undefined,
  finish: Finish,
  finishValue: FinishValue = finish === asStatement ? (value) => value ?? null : operandValue,
): Evaluate {
  const { target } = step;
  compiler.cost += 1;
  const site = compiler.site(step.range);
  const args = compileArguments(compiler, step.arguments, piped, site);
  switch (target.kind) {
    case "local":
      return compileLocal(compiler, step, target.info, target.hops, args, site, finish);
    case "builtin":
      return compileBuiltin(compiler, step, target.builtin, args, site, finishValue);
    case "contract": {
      compiler.cost += args.single.length === 0 ? 3 : 1;
      return compileContract(compiler, target.fullName, args, site, finishValue);
    }
    default:
      return compileLate(compiler, step, target, args, site, finish, finishValue);
  }
}

interface CompiledArguments {
  /** One closure per argument; the last one gives an array when `spread` is set. */
  readonly single: readonly Evaluate[];
  readonly spread: boolean;
  /** All of them in a new list. */
  readonly list: (frame: Frame) => NeedleValue[];
}

function compileArguments(
  compiler: FunctionCompiler,
  args: Arguments,
  piped: Evaluate | undefined,
  site: Site,
): CompiledArguments {
  const single = args.values.map((value) => compileExpression(compiler, value));
  if (piped !== undefined) single.unshift(piped);
  const { spread } = args;
  const count = single.length;
  return {
    single,
    spread,
    list: (f) => {
      const values: NeedleValue[] = [];
      for (let i = 0; i < count; i++) values.push(single[i]!(f));
      if (spread) {
        const rest = values.pop()!;
        if (!(rest instanceof NeedleArray)) {
          const fault = panic("NEEDLE_SPREAD", `... needs an array, not ${typeText(rest)}`);
          throw located(fault, site);
        }
        f.run.useFuel(rest.length >> 3);
        f.run.useMemory(8 * rest.length);
        for (const item of rest) values.push(item);
      }
      return values;
    },
  };
}

type CompiledTails = readonly {
  readonly name: string;
  readonly list: (frame: Frame) => NeedleValue[];
}[];

function compileTails(compiler: FunctionCompiler, step: CallStep): CompiledTails {
  return step.tails.map((tail) => ({
    name: tail.name,
    list: compileArguments(compiler, tail.arguments, undefined, compiler.site(step.range)).list,
  }));
}

function givenTails(tails: CompiledTails, frame: Frame): readonly GivenTail[] {
  return tails.map(({ name, list }) => ({ name, values: list(frame) }));
}

function compileLocal(
  compiler: FunctionCompiler,
  step: CallStep,
  info: FunctionInfo,
  hops: number,
  args: CompiledArguments,
  site: Site,
  finish: Finish,
): Evaluate {
  const code = compiler.functions.get(info.declaration)!;
  const { parameters, tails: declaredTails, name } = code.signature;
  const nested = info.nesting > 0;
  const { level } = compiler;
  const variadic = parameters.at(-1)?.type === "...";
  if (declaredTails.length > 0) compiler.cost += Math.max(1, step.tails.length);
  if (variadic) compiler.cost += 1;
  const plain =
    declaredTails.length === 0 &&
    !variadic &&
    !args.spread &&
    args.single.length === parameters.length;
  if (!plain) {
    const tails = compileTails(compiler, step);
    // The list of arguments and the general way of calling lie between.
    const far = level + 2;
    return (f) => {
      try {
        const values = args.list(f);
        const outer = nested ? outerFrame(f, hops) : undefined;
        const done = invoke(f.run, code, values, givenTails(tails, f), outer, far);
        return finish(done, name);
      } catch (thrown) {
        throw atSite(thrown, site);
      }
    };
  }
  const { single } = args;
  const count = single.length;
  const types = parameters.map(({ type }) => type);
  compiler.cost += FUEL_CALL + count;
  return (f) => {
    const { run } = f;
    try {
      const locals: NeedleValue[] = [];
      for (let i = 0; i < count; i++) {
        locals.push(passArgument(single[i]!(f), types[i]!, i + 1));
      }
      for (let i = count; i < code.slots; i++) locals.push(null);
      run.useMemory(MEMORY_VARIABLE * code.slots);
      const frame = new Frame(run, locals, nested ? outerFrame(f, hops) : undefined, run.frame);
      run.enter(level);
      run.frame = frame;
      code.body(frame);
      run.frame = frame.caller;
      run.leave(level);
      return finish(frame, name);
    } catch (thrown) {
      throw atSite(thrown, site);
    }
  };
}

function compileBuiltin(
  compiler: FunctionCompiler,
  step: CallStep,
  builtin: Builtin,
  args: CompiledArguments,
  site: Site,
  finish: FinishValue,
): Evaluate {
  compiler.cost += builtin.fuel;
  if (builtin.variadic) compiler.cost += 1;
  const { name } = builtin;
  if (builtin.tails.length > 0) {
    compiler.cost += Math.max(1, step.tails.length);
    const tails = compileTails(compiler, step);
    return (f) => {
      const values = args.list(f);
      const given = new Map<string, NeedleValue>();
      for (const tail of tails) given.set(tail.name, tail.list(f)[0] ?? null);
      return finish(callBuiltin(f.run, builtin, values, given, site), name);
    };
  }
  if (args.spread) {
    return (f) => finish(callBuiltin(f.run, builtin, args.list(f), NO_TAILS, site), name);
  }
  const { single } = args;
  if (single.length === 1) {
    const first = single[0]!;
    return (f) => finish(callBuiltin(f.run, builtin, [first(f)], NO_TAILS, site), name);
  }
  const count = single.length;
  return (f) => {
    const values: NeedleValue[] = [];
    for (let i = 0; i < count; i++) values.push(single[i]!(f));
    return finish(callBuiltin(f.run, builtin, values, NO_TAILS, site), name);
  };
}

function compileContract(
  compiler: FunctionCompiler,
  fullName: string,
  args: CompiledArguments,
  site: Site,
  finish: FinishValue,
): Evaluate {
  const level = compiler.level + CONTRACT_LEVELS;
  return (f) => {
    try {
      const [names, ...values] = args.list(f);
      const given = namedValues(names ?? "", values);
      return finish(callContract(f.run, fullName, given, level), fullName);
    } catch (thrown) {
      throw atSite(thrown, site);
    }
  };
}

/** Calls whose target is looked up when they run. */
function compileLate(
  compiler: FunctionCompiler,
  step: CallStep,
  target: Exclude<CallTarget, { kind: "local" | "builtin" | "contract" }>,
  args: CompiledArguments,
  site: Site,
  finish: Finish,
  finishValue: FinishValue,
): Evaluate {
  const level = compiler.level + CONTRACT_LEVELS;
  const tails = compileTails(compiler, step);
  const { ecosystem } = compiler;
  if (target.kind === "variable") {
    compiler.cost += FUEL_EXTERN;
    return () => {
      throw atSite(panic("NEEDLE_NOT_A_FUNCTION", `$${target.name} is not a function`), site);
    };
  }
  const name = target.kind === "external" ? target.signature.name : target.name;
  const fullName = fullContractName(name, ecosystem);
  const dynamic = target.kind === "dynamic";
  return (f) => {
    const { run } = f;
    try {
      const values = args.list(f);
      const given = givenTails(tails, f);
      const found = run.host.findFunction(name);
      if (found !== undefined) {
        if (found.writes && run.readOnly) {
          throw panic(
            "NEEDLE_CONDITIONS_WRITE",
            `${name} changes the ledger: conditions cannot call it`,
          );
        }
        return finish(invoke(run, found.code, values, given, undefined, level), name);
      }
      if (!dynamic) throw panic("NEEDLE_UNKNOWN_FUNCTION", `unknown function ${name}`);
      const [names, ...rest] = values;
      const parameters = namedValues(names ?? "", rest);
      return finishValue(callContract(run, fullName, parameters, level), fullName);
    } catch (thrown) {
      throw atSite(thrown, site);
    }
  };
}
