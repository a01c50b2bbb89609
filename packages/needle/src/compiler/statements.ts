/** Statements to closures. Each statement charges the fuel of its own expressions as it begins. */
import type {
  Block,
  FailStatement,
  IfStatement,
  ReturnStatement,
  Statement,
  VarStatement,
  WhileStatement,
} from "../parser/ast.ts";
import { located, spend } from "../runtime/calls.ts";
import { NeedleFault, panic } from "../runtime/fault.ts";
import type { Frame } from "../runtime/frame.ts";
import {
  declaredTypeText,
  hasType,
  isTruthy,
  toText,
  typeText,
  zeroValue,
} from "../values/convert.ts";
import type { NeedleValue, TypeName } from "../values/value.ts";
import { compileAssign, compileSetIndex } from "./assignments.ts";
import { compileCallStatement } from "./calls.ts";
import { BREAK, CONTINUE, type Execute, NORMAL, RETURN, type Site } from "./closure.ts";
import { compileExpression } from "./expressions.ts";
import type { FunctionCompiler } from "./function-compiler.ts";

export function compileBlock(compiler: FunctionCompiler, block: Block): Execute {
  const statements: Execute[] = [];
  compiler.level += 1;
  for (const statement of block.statements) {
    const compiled = compileStatement(compiler, statement);
    if (compiled !== undefined) statements.push(compiled);
  }
  compiler.level -= 1;
  switch (statements.length) {
    case 0:
      return () => NORMAL;
    case 1:
      return statements[0]!;
    default: {
      const count = statements.length;
      return (f) => {
        for (let i = 0; i < count; i++) {
          const completion = statements[i]!(f);
          if (completion !== NORMAL) return completion;
        }
        return NORMAL;
      };
    }
  }
}

function compileStatement(compiler: FunctionCompiler, node: Statement): Execute | undefined {
  compiler.level += 1;
  try {
    return compileNode(compiler, node);
  } finally {
    compiler.level -= 1;
  }
}

function compileNode(compiler: FunctionCompiler, node: Statement): Execute | undefined {
  switch (node.kind) {
    case "function":
      // Compiled by the program, in the order of the text.
      return undefined;
    case "var":
      return compileVar(compiler, node);
    case "if":
      return compileIf(compiler, node);
    case "while":
      return compileWhile(compiler, node);
    case "break":
    case "continue": {
      const completion = node.kind === "break" ? BREAK : CONTINUE;
      const site = compiler.site(node.range);
      return (f) => {
        spend(f, 1, site);
        return completion;
      };
    }
    case "return":
      return compileReturn(compiler, node);
    case "fail":
      return compileFail(compiler, node);
    case "assign":
      return compileAssign(compiler, node);
    case "setIndex":
      return compileSetIndex(compiler, node);
    case "expression": {
      const { expression } = node;
      const work =
        expression.kind === "call"
          ? compileCallStatement(compiler, expression)
          : compileExpression(compiler, expression);
      const cost = compiler.takeCost();
      const site = compiler.site(node.range);
      return (f) => {
        spend(f, cost, site);
        work(f);
        return NORMAL;
      };
    }
  }
}

function compileVar(compiler: FunctionCompiler, node: VarStatement): Execute {
  const variables = compiler.resolution.variables.get(node)!;
  const cost = variables.length;
  const site = compiler.site(node.range);
  return (f) => {
    spend(f, cost, site);
    for (const { slot, type } of variables) f.locals[slot] = zeroValue(type as TypeName);
    return NORMAL;
  };
}

function compileIf(compiler: FunctionCompiler, node: IfStatement): Execute {
  const site = compiler.site(node.range);
  const branches = node.branches.map(({ condition, block }, index) => {
    const test = compileExpression(compiler, condition);
    // `elif` is an `if` inside the `else` of the branch before.
    compiler.cost += index === 0 ? 1 : 2;
    const cost = compiler.takeCost();
    return { test, cost, block: compileBlock(compiler, block) };
  });
  const otherwise =
    node.otherwise === undefined ? undefined : compileBlock(compiler, node.otherwise);
  if (branches.length === 1) {
    const { test, cost, block } = branches[0]!;
    return (f) => {
      spend(f, cost, site);
      if (isTruthy(test(f))) return block(f);
      if (otherwise === undefined) return NORMAL;
      spend(f, 1, site);
      return otherwise(f);
    };
  }
  return (f) => {
    for (const { test, cost, block } of branches) {
      spend(f, cost, site);
      if (isTruthy(test(f))) return block(f);
    }
    if (otherwise === undefined) return NORMAL;
    spend(f, 1, site);
    return otherwise(f);
  };
}

function compileWhile(compiler: FunctionCompiler, node: WhileStatement): Execute {
  const site = compiler.site(node.range);
  const test = compileExpression(compiler, node.condition);
  compiler.cost += 2;
  const cost = compiler.takeCost();
  const block = compileBlock(compiler, node.block);
  return (f) => {
    const { run } = f;
    for (;;) {
      spend(f, cost, site);
      if (!isTruthy(test(f))) return NORMAL;
      const completion = block(f);
      if (completion === BREAK) return NORMAL;
      if (completion === RETURN) return RETURN;
      spend(f, 1, site);
      if (run.memory > run.recountAt) recountAt(f, site);
    }
  };
}

function compileReturn(compiler: FunctionCompiler, node: ReturnStatement): Execute {
  const { code } = compiler;
  const { name, results } = code.signature;
  const strict = compiler.profile === "strict";
  const site = compiler.site(node.range);
  const values = node.values.map((value) => compileExpression(compiler, value));
  compiler.cost += 1;
  const cost = compiler.takeCost();
  const check = (value: NeedleValue, index: number, type: TypeName) => {
    if (strict && value !== null && !hasType(value, type)) {
      const message =
        `function '${name}' return index[${index}] (type ${typeText(value)}) ` +
        `cannot be represented by the type ${declaredTypeText(type)}`;
      throw located(panic("NEEDLE_TYPE_MISMATCH", message), site);
    }
  };
  if (values.length < results.length) {
    const need = results.slice(values.length).map(declaredTypeText).join(" ");
    return (f) => {
      spend(f, cost, site);
      const message = `func '${name}' not enough arguments to return, need [${need}]`;
      throw located(panic("NEEDLE_RETURN_COUNT", message), site);
    };
  }
  if (values.length === 0) {
    return (f) => {
      spend(f, cost, site);
      return RETURN;
    };
  }
  if (values.length === 1) {
    const value = values[0]!;
    const type = results[0];
    return (f) => {
      spend(f, cost, site);
      const result = value(f);
      if (type !== undefined) check(result, 0, type);
      f.result = result;
      return RETURN;
    };
  }
  // With more values than declared results the last ones count.
  const skip = results.length === 0 ? 0 : values.length - results.length;
  return (f) => {
    spend(f, cost, site);
    const all = values.map((value) => value(f)).slice(skip);
    results.forEach((type, index) => {
      check(all[index]!, index, type);
    });
    f.results = all;
    return RETURN;
  };
}

function compileFail(compiler: FunctionCompiler, node: FailStatement): Execute {
  const value = compileExpression(compiler, node.value);
  compiler.cost += 1;
  const cost = compiler.takeCost();
  const site = compiler.site(node.range);
  const { level } = node;
  const code = `NEEDLE_${level.toUpperCase()}`;
  return (f) => {
    spend(f, cost, site);
    const text = toText(value(f), f.run);
    throw located(new NeedleFault(level, code, text), site);
  };
}

function recountAt(frame: Frame, site: Site): void {
  try {
    frame.run.recount();
  } catch (thrown) {
    throw located(thrown, site);
  }
}
