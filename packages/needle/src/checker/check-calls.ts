/** Calls: what is called, how many arguments it takes, whether it writes. */
import type { Builtin } from "../builtins/builtin.ts";
import { BUILTINS } from "../builtins/table.ts";
import {
  type ContractSignature,
  type FunctionSignature,
  fullContractName,
} from "../contracts/unit.ts";
import type { DiagnosticList, SourceRange } from "../diagnostics/diagnostic.ts";
import type { Arguments, CallExpression, Expression } from "../parser/ast.ts";
import type { CallStep, CallTarget, NeedleEnvironment, Resolution, TailUse } from "./resolution.ts";
import type { BlockScope } from "./scope.ts";

interface TailShape {
  readonly name: string;
  readonly count: number;
  readonly variadic: boolean;
}

export class CallChecker {
  readonly #environment: NeedleEnvironment;
  readonly #diagnostics: DiagnosticList;
  readonly #resolution: Resolution;
  readonly #own: ReadonlyMap<string, ContractSignature>;
  readonly #expression: (node: Expression, scope: BlockScope) => void;
  contract: string | undefined;

  constructor(
    environment: NeedleEnvironment,
    diagnostics: DiagnosticList,
    resolution: Resolution,
    own: ReadonlyMap<string, ContractSignature>,
    expression: (node: Expression, scope: BlockScope) => void,
  ) {
    this.#environment = environment;
    this.#diagnostics = diagnostics;
    this.#resolution = resolution;
    this.#own = own;
    this.#expression = expression;
  }

  #error(code: string, message: string, range: SourceRange): void {
    this.#diagnostics.add("error", code, message, range);
  }

  call(node: CallExpression, scope: BlockScope): void {
    this.#arguments(node.arguments, scope);
    for (const link of node.chain) this.#arguments(link.arguments, scope);
    const steps: CallStep[] = [];
    const { callee } = node;
    let target =
      callee.kind === "extern"
        ? ({ kind: "variable", name: callee.name } as const)
        : this.#find(callee.name, scope);
    if (target === undefined) {
      this.#unknown(callee.name, callee.range);
      return;
    }
    let args = node.arguments;
    let range = callee.range;
    let tails: TailUse[] = [];
    const finish = () => {
      this.#step(target!, args, tails, steps.length > 0, range, scope);
      steps.push({ target: target!, arguments: args, tails, range });
    };
    for (const link of node.chain) {
      const tail = this.#tailsOf(target).find((one) => one.name === link.name.text);
      if (tail !== undefined) {
        this.#checkTail(tail, link.arguments, link.name.range);
        tails.push({ name: tail.name, arguments: link.arguments });
        continue;
      }
      const piped = this.#find(link.name.text, scope);
      if (piped === undefined || piped.kind === "contract") {
        const message = `unknown function tail '${link.name.text}'`;
        this.#error("NEEDLE_UNKNOWN_TAIL", message, link.name.range);
        return;
      }
      finish();
      target = piped;
      args = link.arguments;
      range = link.name.range;
      tails = [];
    }
    finish();
    this.#resolution.calls.set(node, steps);
  }

  #arguments(args: Arguments, scope: BlockScope): void {
    for (const value of args.values) this.#expression(value, scope);
  }

  #unknown(name: string, range: SourceRange): void {
    this.#error(
      "NEEDLE_UNKNOWN_FUNCTION",
      `unknown identifier ${name}: no function declared above, built-in or contract has this name`,
      range,
    );
  }

  #find(name: string, scope: BlockScope): CallTarget | undefined {
    const local = scope.findFunction(name);
    if (local !== undefined) return { kind: "local", ...local };
    const builtin = BUILTINS.get(name);
    if (builtin !== undefined && this.#available(builtin)) return { kind: "builtin", builtin };
    if (!name.startsWith("@")) {
      const signature = this.#environment.findFunction?.(name);
      if (signature !== undefined) return { kind: "external", signature };
    }
    const fullName = fullContractName(name, this.#environment.ecosystem);
    if (fullName === this.contract || this.#contractSignature(fullName) !== undefined) {
      return { kind: "contract", fullName };
    }
    if (this.#environment.externMode !== true) return undefined;
    return name.startsWith("@") ? { kind: "contract", fullName } : { kind: "dynamic", name };
  }

  #available(builtin: Builtin): boolean {
    return builtin.profile === "all" || this.#environment.profile === "lenient";
  }

  #contractSignature(fullName: string): ContractSignature | undefined {
    return this.#own.get(fullName) ?? this.#environment.findContract?.(fullName);
  }

  #tailsOf(target: CallTarget): readonly TailShape[] {
    switch (target.kind) {
      case "local":
        return target.info.declaration.tails.map(({ name, parameters }) =>
          tailShape(name.text, parameters),
        );
      case "external":
        return target.signature.tails.map(({ name, parameters }) => tailShape(name, parameters));
      case "builtin":
        return target.builtin.tails.map(({ name }) => ({ name, count: 1, variadic: false }));
      default:
        return [];
    }
  }

  #checkTail(tail: TailShape, args: Arguments, range: SourceRange): void {
    const count = args.values.length;
    const enough = tail.variadic ? count >= tail.count - 1 : count === tail.count;
    if (!enough && !args.spread) {
      const message = `tail ${tail.name} must have ${tail.count} parameters`;
      this.#error("NEEDLE_ARGUMENT_COUNT", message, range);
    }
  }

  /** One call of the chain, all its tails known. */
  #step(
    target: CallTarget,
    args: Arguments,
    _tails: readonly TailUse[],
    piped: boolean,
    range: SourceRange,
    scope: BlockScope,
  ): void {
    const count = args.values.length + (piped ? 1 : 0);
    switch (target.kind) {
      case "local":
        this.#countScript(target.info.declaration.parameters, count, args.spread, range);
        if (target.info.writes) this.#markWriting(scope);
        return;
      case "external":
        this.#countScript(target.signature.parameters, count, args.spread, range);
        if (target.signature.writes) this.#markWriting(scope);
        return;
      case "builtin":
        this.#countBuiltin(target.builtin, count, args.spread, range);
        if (target.builtin.writes) this.#markWriting(scope);
        return;
      case "contract":
        if (target.fullName === this.contract) {
          const message = "the contract can't call itself recursively";
          this.#error("NEEDLE_RECURSION", message, range);
        }
        this.#countContract(args, range);
        if (this.#contractSignature(target.fullName)?.writes) this.#markWriting(scope);
        return;
      case "dynamic":
      case "variable":
    }
  }

  #markWriting(scope: BlockScope): void {
    const { info } = scope.owner;
    if (info !== undefined) info.writes = true;
  }

  #countScript(
    parameters: FunctionSignature["parameters"] | readonly { readonly type: string }[],
    count: number,
    spread: boolean,
    range: SourceRange,
  ): void {
    const variadic = parameters.at(-1)?.type === "...";
    const least = parameters.length - (variadic ? 1 : 0);
    if (count < least && !spread) {
      this.#error("NEEDLE_ARGUMENT_COUNT", `wrong count of parameters: need ${least}`, range);
    } else if (!variadic && count > least) {
      const message = `only the last ${least} of ${count} parameters are used`;
      this.#diagnostics.add("warning", "NEEDLE_ARGUMENT_COUNT", message, range);
    }
  }

  #countBuiltin(builtin: Builtin, count: number, spread: boolean, range: SourceRange): void {
    const most = builtin.parameters.length;
    const least = most - builtin.optional;
    if (builtin.variadic ? count < least && !spread : count < least || count > most || spread) {
      const message = spread
        ? `function ${builtin.name} takes no list of arguments`
        : `function ${builtin.name} must have ${builtin.variadic ? "at least " : ""}${least} parameters`;
      this.#error("NEEDLE_ARGUMENT_COUNT", message, range);
    }
  }

  /** `Name("A,B", a, b)`: as many values as names, where the names can be seen. */
  #countContract(args: Arguments, range: SourceRange): void {
    const [names, ...values] = args.values;
    if (names === undefined || args.spread || names.kind !== "literal") return;
    const text = names.value;
    if (typeof text !== "string") {
      const message = "the first argument of a contract call is the list of parameter names";
      this.#error("NEEDLE_CONTRACT_CALL", message, names.range);
    } else if ((text === "" ? 0 : text.split(",").length) !== values.length) {
      this.#diagnostics.add("warning", "NEEDLE_CONTRACT_CALL", "wrong contract parameters", range);
    }
  }
}

function tailShape(name: string, parameters: readonly { readonly type: string }[]): TailShape {
  return { name, count: parameters.length, variadic: parameters.at(-1)?.type === "..." };
}
