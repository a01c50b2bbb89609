/** Programs to closures. */
import { checkExpressionFunction, checkProgram } from "../checker/check.ts";
import type { NeedleEnvironment, Resolution } from "../checker/resolution.ts";
import { isOptionalTag, tagWords } from "../contracts/fields.ts";
import type {
  FunctionSignature,
  NeedleCondition,
  NeedleContract,
  NeedleFunction,
  NeedleProfile,
  NeedleUnit,
} from "../contracts/unit.ts";
import { type Diagnostic, hasErrors } from "../diagnostics/diagnostic.ts";
import type { Block, ContractDeclaration, FunctionDeclaration, Program } from "../parser/ast.ts";
import { parseNeedle, parseNeedleExpression } from "../parser/parse.ts";
import { type CompiledFunction, NORMAL } from "./closure.ts";
import { FunctionCompiler } from "./function-compiler.ts";
import { compileBlock } from "./statements.ts";

export interface CompileResult {
  /** Absent when there are errors among the diagnostics. */
  readonly unit: NeedleUnit | undefined;
  readonly program: Program;
  readonly diagnostics: readonly Diagnostic[];
}

/** Parses, checks and compiles a program text. Never throws. `file` names it in diagnostics. */
export function compileNeedle(
  source: string,
  environment: NeedleEnvironment,
  file?: string,
): CompileResult {
  const { program, diagnostics: found } = parseNeedle(source, file);
  const checked = checkProgram(program, environment, file);
  const diagnostics = [...found, ...checked.diagnostics];
  if (hasErrors(diagnostics)) return { unit: undefined, program, diagnostics };
  const compiler = new ProgramCompiler(checked.resolution, environment);
  return { unit: compiler.program(program), program, diagnostics };
}

/** Parses and checks a program text without compiling it. Never throws. */
export function checkNeedle(
  source: string,
  environment: NeedleEnvironment,
  file?: string,
): readonly Diagnostic[] {
  const { program, diagnostics } = parseNeedle(source, file);
  return [...diagnostics, ...checkProgram(program, environment, file).diagnostics];
}

/** Compiles the text of a condition. What it calls is looked up when it is evaluated. */
export function compileCondition(
  text: string,
  ecosystem: bigint,
): {
  readonly condition: NeedleCondition | undefined;
  readonly diagnostics: readonly Diagnostic[];
} {
  const parsed = parseNeedleExpression(text);
  const { expression } = parsed;
  if (expression === undefined || hasErrors(parsed.diagnostics)) {
    return { condition: undefined, diagnostics: parsed.diagnostics };
  }
  const { range } = expression;
  const body: Block = {
    statements: [{ kind: "return", values: [expression], range }],
    range,
  };
  const declaration: FunctionDeclaration = {
    kind: "function",
    name: { text: "eval", range },
    parameters: [],
    tails: [],
    results: [],
    body,
    range,
  };
  const environment = { ecosystem, externMode: true };
  const checked = checkExpressionFunction(declaration, environment);
  const diagnostics = [...parsed.diagnostics, ...checked.diagnostics];
  if (hasErrors(diagnostics)) return { condition: undefined, diagnostics };
  const compiler = new ProgramCompiler(checked.resolution, environment);
  const code = compiler.function(declaration, "condition");
  return { condition: { text, ecosystem, code }, diagnostics };
}

class ProgramCompiler {
  readonly #resolution: Resolution;
  readonly #profile: NeedleProfile;
  readonly #ecosystem: bigint;
  readonly #functions = new Map<FunctionDeclaration, CompiledFunction>();

  constructor(resolution: Resolution, environment: NeedleEnvironment) {
    this.#resolution = resolution;
    this.#profile = environment.profile ?? "strict";
    this.#ecosystem = environment.ecosystem;
  }

  program(program: Program): NeedleUnit {
    const contracts: NeedleContract[] = [];
    const functions: NeedleFunction[] = [];
    for (const item of program.items) {
      if (item.kind === "contract") contracts.push(this.#contract(item));
      else {
        const code = this.function(item, item.name.text);
        functions.push({
          ...code.signature,
          profile: this.#profile,
          ecosystem: this.#ecosystem,
          code,
        });
      }
    }
    return { contracts, functions };
  }

  #contract(declaration: ContractDeclaration): NeedleContract {
    const { fullName, writes } = this.#resolution.contracts.get(declaration)!;
    const parts = new Map<string, CompiledFunction>();
    for (const statement of declaration.body.statements) {
      if (statement.kind === "function") {
        parts.set(statement.name.text, this.function(statement, fullName));
      }
    }
    return {
      fullName,
      name: declaration.name.text,
      ecosystem: this.#ecosystem,
      profile: this.#profile,
      writes,
      fields: declaration.data.map(({ name, type, tag }) => ({
        name: name.text,
        type,
        optional: isOptionalTag(tag),
        tags: tagWords(tag),
      })),
      settings: new Map(declaration.settings.map(({ name, value }) => [name.text, value])),
      conditions: parts.get("conditions"),
      action: parts.get("action"),
      baseFuel:
        100 + 50 * parts.size + 50 * declaration.settings.length + 10 * declaration.data.length,
    };
  }

  /** Compiles a function and those inside it. */
  function(declaration: FunctionDeclaration, place: string): CompiledFunction {
    const info = this.#resolution.functions.get(declaration)!;
    const signature: FunctionSignature = {
      name: declaration.name.text,
      parameters: declaration.parameters.map(({ name, type }) => ({ name: name.text, type })),
      tails: declaration.tails.map(({ name, parameters }) => ({
        name: name.text,
        parameters: parameters.map((one) => ({ name: one.name.text, type: one.type })),
      })),
      results: declaration.results,
      writes: info.writes,
    };
    const code: CompiledFunction = {
      signature,
      profile: this.#profile,
      place,
      slots: info.slots,
      tailSlots: info.tailSlots,
      body: () => NORMAL,
    };
    this.#functions.set(declaration, code);
    this.#inner(declaration.body, place);
    const compiler = new FunctionCompiler(
      this.#resolution,
      this.#profile,
      this.#ecosystem,
      place,
      this.#functions,
      code,
    );
    code.body = compileBlock(compiler, declaration.body);
    return code;
  }

  /** Functions declared inside a block, wherever it nests them. */
  #inner(block: Block, place: string): void {
    for (const statement of block.statements) {
      switch (statement.kind) {
        case "function":
          this.function(statement, place);
          break;
        case "if":
          for (const branch of statement.branches) this.#inner(branch.block, place);
          if (statement.otherwise !== undefined) this.#inner(statement.otherwise, place);
          break;
        case "while":
          this.#inner(statement.block, place);
      }
    }
  }
}
