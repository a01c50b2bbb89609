/**
 * Expressions to closures. Fuel of an expression is known before it runs (nothing in it is left
 * out), so that the statement around it charges it in one step; only calls charge on their own.
 */

import { arithmetic, negate } from "../operators/arithmetic.ts";
import { areEqual, compareValues } from "../operators/comparison.ts";
import type {
  ArrayExpression,
  BinaryExpression,
  Expression,
  ExternExpression,
  IndexExpression,
  MapExpression,
  NameExpression,
} from "../parser/ast.ts";
import { located } from "../runtime/calls.ts";
import { panic } from "../runtime/fault.ts";
import type { Frame } from "../runtime/frame.ts";
import {
  FUEL_EXTERN,
  MEMORY_CONTAINER,
  MEMORY_ELEMENT,
  MEMORY_ENTRY,
  MEMORY_TEXT,
  MEMORY_TEXT_UNIT,
} from "../runtime/limits.ts";
import { SYSTEM_VARIABLES } from "../runtime/system-variables.ts";
import { concatTexts } from "../values/byte-text.ts";
import { isTruthy, typeText } from "../values/convert.ts";
import { NeedleArray, NeedleMap, type NeedleValue } from "../values/value.ts";
import { compileCall } from "./calls.ts";
import type { Evaluate, Site } from "./closure.ts";
import type { FunctionCompiler } from "./function-compiler.ts";

export function compileExpression(compiler: FunctionCompiler, node: Expression): Evaluate {
  compiler.level += 1;
  try {
    return compileNode(compiler, node);
  } finally {
    compiler.level -= 1;
  }
}

function compileNode(compiler: FunctionCompiler, node: Expression): Evaluate {
  switch (node.kind) {
    case "literal": {
      compiler.cost += 1;
      const { value } = node;
      return () => value;
    }
    case "name":
      return compileName(compiler, node);
    case "extern":
      return compileExtern(compiler, node);
    case "index":
      return compileIndex(compiler, node);
    case "unary": {
      const operand = compileExpression(compiler, node.operand);
      compiler.cost += 1;
      if (node.operator === "!") return (f) => !isTruthy(operand(f));
      const site = compiler.site(node.range);
      return (f) => {
        const value = operand(f);
        try {
          return negate(value);
        } catch (thrown) {
          throw located(thrown, site);
        }
      };
    }
    case "binary":
      return compileBinary(compiler, node);
    case "map":
      compiler.cost += 1;
      return compileMap(compiler, node);
    case "array":
      compiler.cost += 1;
      return compileArray(compiler, node);
    case "sequence": {
      const items = node.items.map((item) => compileExpression(compiler, item));
      const last = items.pop()!;
      return (f) => {
        for (const item of items) item(f);
        return last(f);
      };
    }
    case "call":
      return compileCall(compiler, node);
  }
}

function compileName(compiler: FunctionCompiler, node: NameExpression): Evaluate {
  compiler.cost += 1;
  const { hops, slot, dead } = compiler.resolution.names.get(node)!;
  if (dead) {
    const site = compiler.site(node.range);
    return () => {
      throw located(
        panic("NEEDLE_WRONG_VARIABLE", `wrong var ${node.name}: declared outside of functions`),
        site,
      );
    };
  }
  switch (hops) {
    case 0:
      return (f) => f.locals[slot]!;
    case 1:
      return (f) => f.outer!.locals[slot]!;
    default:
      return (f) => outerFrame(f, hops).locals[slot]!;
  }
}

export function outerFrame(frame: Frame, hops: number): Frame {
  let found = frame;
  for (let i = 0; i < hops; i++) found = found.outer!;
  return found;
}

function compileExtern(compiler: FunctionCompiler, node: ExternExpression): Evaluate {
  compiler.cost += 1 + FUEL_EXTERN;
  return readExtern(compiler, node);
}

function readExtern(compiler: FunctionCompiler, node: ExternExpression): Evaluate {
  const { name } = node;
  const system = SYSTEM_VARIABLES.get(name);
  const { profile } = compiler;
  if (system !== undefined) {
    const { read } = system;
    return (f) => read(f.run, profile);
  }
  const site = compiler.site(node.range);
  return (f) => {
    const value = f.run.scope.variables.get(name);
    if (value === undefined) {
      throw located(panic("NEEDLE_UNKNOWN_VARIABLE", `unknown extend identifier ${name}`), site);
    }
    return value;
  };
}

function compileIndex(compiler: FunctionCompiler, node: IndexExpression): Evaluate {
  const container = compileExpression(compiler, node.container);
  const index = compileExpression(compiler, node.index);
  compiler.cost += 1;
  const site = compiler.site(node.range);
  return (f) => {
    const holder = container(f);
    const key = index(f);
    if (holder instanceof NeedleMap && typeof key === "string") {
      return holder.entries.get(key) ?? null;
    }
    return readElement(holder, key, site);
  };
}

function readElement(holder: NeedleValue, key: NeedleValue, site: Site): NeedleValue {
  if (holder instanceof NeedleArray) {
    if (typeof key !== "bigint") {
      const message = `index of array cannot be type ${typeText(key)}`;
      throw located(panic("NEEDLE_INDEX_TYPE", message), site);
    }
    if (key < 0n || key >= BigInt(holder.length)) {
      const message = `slice index out of range: ${key} in an array of ${holder.length}`;
      throw located(panic("NEEDLE_INDEX_RANGE", message), site);
    }
    return holder.get(Number(key));
  }
  const message =
    holder instanceof NeedleMap
      ? `index of map cannot be type ${typeText(key)}`
      : `Type ${typeText(holder)} doesn't support indexing`;
  throw located(panic("NEEDLE_INDEX_TYPE", message), site);
}

function compileBinary(compiler: FunctionCompiler, node: BinaryExpression): Evaluate {
  const left = compileExpression(compiler, node.left);
  const right = compileExpression(compiler, node.right);
  compiler.cost += 1;
  const site = compiler.site(node.operatorRange);
  const { operator } = node;
  const slow = (a: NeedleValue, b: NeedleValue): NeedleValue => {
    try {
      return arithmetic(operator as "+", a, b);
    } catch (thrown) {
      throw located(thrown, site);
    }
  };
  const order = (a: NeedleValue, b: NeedleValue): number | undefined => {
    try {
      return compareValues(a, b);
    } catch (thrown) {
      throw located(thrown, site);
    }
  };
  const equal = (a: NeedleValue, b: NeedleValue): boolean => {
    try {
      return areEqual(a, b);
    } catch (thrown) {
      throw located(thrown, site);
    }
  };
  switch (operator) {
    case "+":
      return (f) => {
        const a = left(f);
        const b = right(f);
        if (typeof a === "bigint" && typeof b === "bigint") return BigInt.asIntN(64, a + b);
        if (typeof a === "string" && typeof b === "string") return concat(f, a, b, site);
        return slow(a, b);
      };
    case "-":
      return (f) => {
        const a = left(f);
        const b = right(f);
        if (typeof a === "bigint" && typeof b === "bigint") return BigInt.asIntN(64, a - b);
        return slow(a, b);
      };
    case "*":
    case "/":
      return (f) => {
        const a = left(f);
        return slow(a, right(f));
      };
    case "==":
      return (f) => {
        const a = left(f);
        return equal(a, right(f));
      };
    case "!=":
      return (f) => {
        const a = left(f);
        return !equal(a, right(f));
      };
    // `<=` is "not greater", `>=` is "not less": NaN makes both true.
    case "<":
      return (f) => {
        const a = left(f);
        return (order(a, right(f)) ?? 0) < 0;
      };
    case "<=":
      return (f) => {
        const a = left(f);
        return (order(a, right(f)) ?? 0) <= 0;
      };
    case ">":
      return (f) => {
        const a = left(f);
        return (order(a, right(f)) ?? 0) > 0;
      };
    case ">=":
      return (f) => {
        const a = left(f);
        return (order(a, right(f)) ?? 0) >= 0;
      };
    // Both sides are always evaluated.
    case "&&":
      return (f) => {
        const a = isTruthy(left(f));
        const b = isTruthy(right(f));
        return a && b;
      };
    case "||":
      return (f) => {
        const a = isTruthy(left(f));
        const b = isTruthy(right(f));
        return a || b;
      };
  }
}

function concat(frame: Frame, a: string, b: string, site: Site): string {
  try {
    frame.run.useMemory(MEMORY_TEXT + MEMORY_TEXT_UNIT * (a.length + b.length));
  } catch (thrown) {
    throw located(thrown, site);
  }
  return concatTexts(a, b);
}

function compileValue(compiler: FunctionCompiler, node: Expression): Evaluate {
  const { cost } = compiler;
  const value = compileExpression(compiler, node);
  // The whole literal is one instruction, whatever stands in it.
  compiler.cost = cost;
  return value;
}

function compileMap(compiler: FunctionCompiler, node: MapExpression): Evaluate {
  const keys = node.items.map(({ key }) => key);
  const values = node.items.map(({ value }) => compileValue(compiler, value));
  const bytes = keys.reduce(
    (sum, key) => sum + MEMORY_ENTRY + MEMORY_TEXT_UNIT * key.length,
    MEMORY_CONTAINER,
  );
  const work = keys.length >> 3;
  return (f) => {
    f.run.useMemory(bytes);
    if (work > 0) f.run.useFuel(work);
    const entries = new Map<string, NeedleValue>();
    for (let i = 0; i < keys.length; i++) entries.set(keys[i]!, values[i]!(f));
    return new NeedleMap(entries);
  };
}

function compileArray(compiler: FunctionCompiler, node: ArrayExpression): Evaluate {
  const items = node.items.map((item) => compileValue(compiler, item));
  const bytes = MEMORY_CONTAINER + MEMORY_ELEMENT * items.length;
  const work = items.length >> 3;
  return (f) => {
    f.run.useMemory(bytes);
    if (work > 0) f.run.useFuel(work);
    return NeedleArray.of(items.map((item) => item(f)));
  };
}
