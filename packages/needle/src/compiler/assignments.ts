/** Writing variables and elements, with the rules of types. */
import type { AssignStatement, SetIndexStatement } from "../parser/ast.ts";
import { located, spend } from "../runtime/calls.ts";
import { limitFault, type NeedleFault, panic } from "../runtime/fault.ts";
import type { Frame } from "../runtime/frame.ts";
import {
  ARRAY_INDEX_MAX,
  FUEL_ELEMENTS,
  MAP_ENTRIES_MAX,
  MEMORY_ELEMENT,
  MEMORY_ENTRY,
  MEMORY_NUMBER,
  MEMORY_TEXT_UNIT,
} from "../runtime/limits.ts";
import { declaredTypeText, hasType, toMoney, typeText } from "../values/convert.ts";
import { moneyBytes } from "../values/measure.ts";
import { Money } from "../values/money.ts";
import { NeedleArray, NeedleMap, type NeedleValue, type TypeName } from "../values/value.ts";
import { compileCallResults } from "./calls.ts";
import { type Execute, NORMAL } from "./closure.ts";
import { compileExpression, outerFrame } from "./expressions.ts";
import type { FunctionCompiler } from "./function-compiler.ts";

type Store = (frame: Frame, value: NeedleValue) => void;

function mismatch(what: string, value: NeedleValue, declared: string): NeedleFault {
  return panic(
    "NEEDLE_TYPE_MISMATCH",
    `${what} (type ${typeText(value)}) cannot be represented by the type ${declared}`,
  );
}

/** A target of an assignment. */
function compileStore(
  compiler: FunctionCompiler,
  target: AssignStatement["targets"][number],
): Store {
  const strict = compiler.profile === "strict";
  const site = compiler.site(target.range);
  const { name } = target;
  if (target.kind === "extern") {
    return (f, value) => {
      const { variables } = f.run.scope;
      if (strict) {
        const before = variables.get(name);
        // Same JavaScript type of a simple value means same type; else compare the type names.
        if (
          before !== undefined &&
          before !== null &&
          (typeof before !== typeof value || typeof before === "object") &&
          typeText(before) !== typeText(value)
        ) {
          throw located(mismatch(`$${name}`, value, typeText(before)), site);
        }
      }
      variables.set(name, value);
    };
  }
  const { hops, slot, type, dead } = compiler.resolution.names.get(target)!;
  if (dead) {
    return () => {
      const fault = panic(
        "NEEDLE_WRONG_VARIABLE",
        `wrong var ${name}: declared outside of functions`,
      );
      throw located(fault, site);
    };
  }
  const declared: TypeName = type === "..." ? "array" : type;
  if (declared === "money") {
    return (f, value) => {
      outerFrame(f, hops).locals[slot] = value === null ? null : moneyOf(value, site);
    };
  }
  if (!strict) {
    return (f, value) => {
      outerFrame(f, hops).locals[slot] = value;
    };
  }
  const store = (f: Frame, value: NeedleValue) => {
    if (value !== null && !hasType(value, declared)) {
      throw located(mismatch(`variable '${name}'`, value, declaredTypeText(declared)), site);
    }
    (hops === 0 ? f : outerFrame(f, hops)).locals[slot] = value;
  };
  return store;
}

function moneyOf(value: NeedleValue, site: ReturnType<FunctionCompiler["site"]>): NeedleValue {
  try {
    return toMoney(value);
  } catch (thrown) {
    throw located(thrown, site);
  }
}

export function compileAssign(compiler: FunctionCompiler, node: AssignStatement): Execute {
  const stores = node.targets.map((target) => compileStore(compiler, target));
  const site = compiler.site(node.range);
  const [onlyValue] = node.values;
  if (stores.length === 1 && node.values.length === 1) {
    const value = compileExpression(compiler, onlyValue!);
    const cost = chargeAssign(compiler);
    const store = stores[0]!;
    return (f) => {
      spend(f, cost, site);
      store(f, value(f));
      return NORMAL;
    };
  }
  let values: (frame: Frame) => readonly NeedleValue[];
  if (node.values.length === 1 && onlyValue!.kind === "call") {
    values = compileCallResults(compiler, onlyValue!);
  } else {
    const single = node.values.map((value) => compileExpression(compiler, value));
    values = (f) => single.map((value) => value(f));
  }
  const cost = chargeAssign(compiler);
  return (f) => {
    spend(f, cost, site);
    const given = values(f);
    const skip = given.length - stores.length;
    if (skip < 0) {
      const message = `stack is empty: ${stores.length} variables but ${given.length} values`;
      throw located(panic("NEEDLE_NO_RESULT", message), site);
    }
    for (let i = 0; i < stores.length; i++) stores[i]!(f, given[skip + i]!);
    return NORMAL;
  };
}

function chargeAssign(compiler: FunctionCompiler): number {
  compiler.cost += 2;
  return compiler.takeCost();
}

/** `container[index] = value`. */
export function compileSetIndex(compiler: FunctionCompiler, node: SetIndexStatement): Execute {
  const { cost: before } = compiler;
  const container = compileExpression(compiler, node.container);
  // The container is written, not read: writing is one instruction.
  compiler.cost = before + 1;
  const index = compileExpression(compiler, node.index);
  const value = compileExpression(compiler, node.value);
  const replace = compileReplace(compiler, node.container);
  const cost = compiler.takeCost();
  const site = compiler.site(node.range);
  return (f) => {
    spend(f, cost, site);
    const key = index(f);
    const item = value(f);
    try {
      const holder = container(f);
      if (holder instanceof NeedleMap) setEntry(f, holder, key, item);
      else if (holder instanceof NeedleArray) setElement(f, holder, key, item, replace);
      else {
        const message = `Type ${typeText(holder)} doesn't support indexing`;
        throw panic("NEEDLE_INDEX_TYPE", message);
      }
    } catch (thrown) {
      throw located(thrown, site);
    }
    return NORMAL;
  };
}

/** Puts the grown array into the variable it was reached through. */
function compileReplace(
  compiler: FunctionCompiler,
  container: SetIndexStatement["container"],
): Store {
  if (container.kind === "extern") {
    return (f, value) => f.run.scope.variables.set(container.name, value);
  }
  const { hops, slot } = compiler.resolution.names.get(container)!;
  return (f, value) => {
    outerFrame(f, hops).locals[slot] = value;
  };
}

function selfAssignment(): NeedleFault {
  return panic("NEEDLE_SELF_ASSIGNMENT", "self assignment");
}

/** What an element adds to the container; texts and containers were accounted when made. */
function weightOf(value: NeedleValue): number {
  if (value === null || typeof value === "string" || typeof value === "boolean") return 0;
  return value instanceof Money ? moneyBytes(value) : MEMORY_NUMBER;
}

function setEntry(frame: Frame, map: NeedleMap, key: NeedleValue, item: NeedleValue): void {
  if (typeof key !== "string") {
    throw panic("NEEDLE_INDEX_TYPE", `index of map cannot be type ${typeText(key)}`);
  }
  if (item === map) throw selfAssignment();
  const { entries } = map;
  if (!entries.has(key)) {
    if (entries.size > MAP_ENTRIES_MAX) {
      throw limitFault("NEEDLE_MAP_SIZE", "the maxumim length of map");
    }
    frame.run.useMemory(MEMORY_ENTRY + MEMORY_TEXT_UNIT * key.length + weightOf(item));
  } else frame.run.useMemory(weightOf(item));
  entries.set(key, item);
}

function setElement(
  frame: Frame,
  array: NeedleArray,
  key: NeedleValue,
  item: NeedleValue,
  replace: Store,
): void {
  if (typeof key !== "bigint") {
    throw panic("NEEDLE_INDEX_TYPE", `index of array cannot be type ${typeText(key)}`);
  }
  if (key < 0n) {
    throw panic("NEEDLE_INDEX_RANGE", `slice index out of range: ${key} is negative`);
  }
  if (key > BigInt(ARRAY_INDEX_MAX)) {
    throw limitFault("NEEDLE_INDEX_RANGE", "the index is out of range");
  }
  if (item === array) throw selfAssignment();
  const { run } = frame;
  const at = Number(key);
  if (at < array.length) {
    run.useMemory(weightOf(item));
    chargeCopy(frame, array.set(at, item));
    return;
  }
  const added = at + 1 - array.length;
  run.useMemory(MEMORY_ELEMENT * added + weightOf(item));
  run.useFuel(Math.floor(added / FUEL_ELEMENTS));
  const { array: grown, copied } = array.grown(at, item);
  chargeCopy(frame, copied);
  replace(frame, grown);
}

function chargeCopy(frame: Frame, copied: number): void {
  if (copied === 0) return;
  frame.run.useMemory(MEMORY_ELEMENT * copied);
  frame.run.useFuel(Math.ceil(copied / FUEL_ELEMENTS));
}
