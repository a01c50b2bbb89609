/** Meaning of a program: names, redeclarations, the write check. */

import { isOptionalTag, tagWords } from "../contracts/fields.ts";
import type { ContractSignature } from "../contracts/unit.ts";
import { type Diagnostic, DiagnosticList, type SourceRange } from "../diagnostics/diagnostic.ts";
import type {
  Block,
  ContractDeclaration,
  Expression,
  FunctionDeclaration,
  Program,
  Statement,
} from "../parser/ast.ts";
import { isReservedVariable } from "../runtime/system-variables.ts";
import { CallChecker } from "./check-calls.ts";
import type { FunctionInfo, NeedleEnvironment, Resolution } from "./resolution.ts";
import { BlockScope, FunctionScope } from "./scope.ts";

export interface CheckResult {
  readonly resolution: Resolution;
  readonly diagnostics: readonly Diagnostic[];
}

/** Resolves the names of a program and checks what can be checked before it runs. */
export function checkProgram(
  program: Program,
  environment: NeedleEnvironment,
  file?: string,
): CheckResult {
  const checker = new Checker(environment, new DiagnosticList(file));
  checker.program(program);
  return { resolution: checker.resolution, diagnostics: checker.diagnostics.items };
}

/** Checks an expression that stands alone as the body of a function without parameters. */
export function checkExpressionFunction(
  declaration: FunctionDeclaration,
  environment: NeedleEnvironment,
): CheckResult {
  const checker = new Checker(environment, new DiagnosticList());
  const top = new FunctionScope(undefined, undefined);
  checker.function(declaration, new BlockScope(top, undefined));
  return { resolution: checker.resolution, diagnostics: checker.diagnostics.items };
}

class Checker {
  readonly environment: NeedleEnvironment;
  readonly diagnostics: DiagnosticList;
  readonly resolution: Resolution = {
    calls: new Map(),
    names: new Map(),
    variables: new Map(),
    functions: new Map(),
    contracts: new Map(),
  };
  /** Contracts of this program, for those that follow. */
  readonly own = new Map<string, ContractSignature>();
  /** Full name of the contract being checked. */
  contract: string | undefined;
  readonly #calls: CallChecker;

  constructor(environment: NeedleEnvironment, diagnostics: DiagnosticList) {
    this.environment = environment;
    this.diagnostics = diagnostics;
    this.#calls = new CallChecker(environment, diagnostics, this.resolution, this.own, (e, s) =>
      this.expression(e, s),
    );
  }

  error(code: string, message: string, range: SourceRange): void {
    this.diagnostics.add("error", code, message, range);
  }

  program(program: Program): void {
    const top = new BlockScope(new FunctionScope(undefined, undefined), undefined);
    for (const item of program.items) {
      if (item.kind === "function") this.function(item, top);
      else this.#contract(item, top);
    }
  }

  #contract(declaration: ContractDeclaration, top: BlockScope): void {
    const { text, range } = declaration.name;
    const fullName = text.startsWith("@") ? text : `@${this.environment.ecosystem}${text}`;
    if (text.startsWith("@")) {
      this.error("NEEDLE_NAME", "a contract is declared without '@' and ecosystem", range);
    }
    if (this.own.has(fullName) || top.hasFunction(text)) {
      this.error("NEEDLE_REDECLARED", `Contract '${text}' redeclared`, range);
    }
    const fields = new Map<string, boolean>();
    for (const { name } of declaration.data) {
      if (isReservedVariable(name.text)) {
        this.error(
          "NEEDLE_FIELD_NAME",
          `param variable '${name.text}' in the data section of the contract '${fullName}' ` +
            "collides with the 'builtin' variable",
          name.range,
        );
      } else if (fields.has(name.text)) {
        this.error("NEEDLE_REDECLARED", `duplicate data field '${name.text}'`, name.range);
      }
      fields.set(name.text, true);
    }
    this.contract = fullName;
    this.#calls.contract = fullName;
    const body = new BlockScope(new FunctionScope(undefined, undefined), top);
    for (const statement of declaration.body.statements) {
      if (statement.kind === "function") this.function(statement, body, fullName);
      else {
        if (statement.kind !== "var") {
          this.diagnostics.add(
            "warning",
            "NEEDLE_DEAD_STATEMENT",
            "a statement outside of the functions of a contract never runs",
            statement.range,
          );
        }
        this.#statement(statement, body);
      }
    }
    const conditions = body.findFunction("conditions")?.info;
    if (conditions?.writes) {
      this.error(
        "NEEDLE_CONDITIONS_WRITE",
        "'conditions' cannot call contracts or functions which can modify the blockchain database",
        conditions.declaration.name.range,
      );
    }
    const writes =
      (body.hasFunction("action") && body.findFunction("action")!.info.writes) ||
      (body.hasFunction("conditions") && conditions?.writes === true);
    this.contract = undefined;
    this.#calls.contract = undefined;
    this.own.set(fullName, {
      fullName,
      writes,
      fields: declaration.data.map((field) => ({
        name: field.name.text,
        type: field.type,
        optional: isOptionalTag(field.tag),
        tags: tagWords(field.tag),
      })),
    });
    this.resolution.contracts.set(declaration, { fullName, writes });
  }

  function(declaration: FunctionDeclaration, around: BlockScope, contract?: string): void {
    const { text, range } = declaration.name;
    const special = text === "action" || text === "conditions";
    if (special && contract === undefined) {
      this.error("NEEDLE_PLACE", `${text} can only be in contract`, range);
    }
    if (around.hasFunction(text)) {
      const place = contract === undefined ? "" : ` in this contract '${contract}'`;
      this.error("NEEDLE_REDECLARED", `Func '${text}' redeclared${place}`, range);
    }
    if (special && (declaration.parameters.length > 0 || declaration.tails.length > 0)) {
      this.error("NEEDLE_SYNTAX", `${text} takes no parameters`, range);
    }
    const tailSlots: number[] = [];
    const info: FunctionInfo = {
      declaration,
      nesting: around.owner.nesting + (around.owner.info === undefined ? 0 : 1),
      tailSlots,
      slots: 0,
      writes: false,
    };
    const scope = new FunctionScope(around.owner, info);
    const block = new BlockScope(scope, around);
    const declare = (
      name: { text: string; range: SourceRange },
      type: Parameters<BlockScope["declare"]>[1],
    ) => {
      if (block.declare(name.text, type) === undefined) {
        this.error("NEEDLE_REDECLARED", `duplicate argument '${name.text}'`, name.range);
        scope.slots += 1;
      }
    };
    for (const { name, type } of declaration.parameters) declare(name, type);
    const tailNames = new Set<string>();
    for (const tail of declaration.tails) {
      if (tailNames.has(tail.name.text)) {
        this.error("NEEDLE_REDECLARED", `duplicate tail '${tail.name.text}'`, tail.name.range);
      }
      tailNames.add(tail.name.text);
      tailSlots.push(scope.slots);
      for (const { name, type } of tail.parameters) declare(name, type);
    }
    // Known to its own body and to what follows, not to what stands before it.
    around.declareFunction(text, info);
    this.resolution.functions.set(declaration, info);
    this.#statements(declaration.body, block);
    info.slots = scope.slots;
  }

  #block(block: Block, around: BlockScope): void {
    this.#statements(block, new BlockScope(around.owner, around));
  }

  #statements(block: Block, scope: BlockScope): void {
    for (const statement of block.statements) this.#statement(statement, scope);
  }

  #statement(statement: Statement, scope: BlockScope): void {
    switch (statement.kind) {
      case "function":
        this.function(statement, scope);
        return;
      case "var":
        this.resolution.variables.set(
          statement,
          statement.variables.map(({ name, type }) => {
            const slot = scope.declare(name.text, type);
            if (slot === undefined) {
              const message = `'${name.text}' redeclared in this code block`;
              this.error("NEEDLE_REDECLARED", message, name.range);
            }
            return { hops: 0, slot: slot ?? 0, type, dead: scope.owner.info === undefined };
          }),
        );
        return;
      case "if":
        for (const { condition, block } of statement.branches) {
          this.expression(condition, scope);
          this.#block(block, scope);
        }
        if (statement.otherwise !== undefined) this.#block(statement.otherwise, scope);
        return;
      case "while":
        this.expression(statement.condition, scope);
        this.#block(statement.block, scope);
        return;
      case "break":
      case "continue":
        return;
      case "return":
        for (const value of statement.values) this.expression(value, scope);
        return;
      case "fail":
        this.expression(statement.value, scope);
        return;
      case "assign":
        for (const value of statement.values) this.expression(value, scope);
        for (const target of statement.targets) this.#target(target, scope);
        return;
      case "setIndex":
        this.#target(statement.container, scope);
        this.expression(statement.index, scope);
        this.expression(statement.value, scope);
        return;
      case "expression":
        if (statement.expression.kind !== "call") {
          this.diagnostics.add(
            "warning",
            "NEEDLE_UNUSED",
            "the value of this expression is not used",
            statement.range,
          );
        }
        this.expression(statement.expression, scope);
    }
  }

  #target(target: Expression, scope: BlockScope): void {
    if (target.kind === "extern") {
      if (isReservedVariable(target.name)) {
        const message = `system variable $${target.name} cannot be changed`;
        this.error("NEEDLE_SYSTEM_VARIABLE", message, target.range);
      }
    } else if (target.kind === "name") this.#name(target, scope, "unknown variable");
  }

  #name(node: Expression & { kind: "name" }, scope: BlockScope, unknown: string): void {
    const found = scope.findVariable(node.name);
    if (found === undefined) {
      this.error("NEEDLE_UNKNOWN_NAME", `${unknown} ${node.name}`, node.range);
    } else this.resolution.names.set(node, found);
  }

  expression(node: Expression, scope: BlockScope): void {
    switch (node.kind) {
      case "literal":
      case "extern":
        return;
      case "name":
        this.#name(node, scope, "unknown identifier");
        return;
      case "index":
        this.expression(node.container, scope);
        this.expression(node.index, scope);
        return;
      case "unary":
        this.expression(node.operand, scope);
        return;
      case "binary":
        this.expression(node.left, scope);
        this.expression(node.right, scope);
        return;
      case "map":
        for (const { value } of node.items) this.expression(value, scope);
        return;
      case "array":
      case "sequence":
        for (const item of node.items) this.expression(item, scope);
        return;
      case "call":
        this.#calls.call(node, scope);
    }
  }
}
