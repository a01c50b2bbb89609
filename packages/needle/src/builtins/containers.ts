/** Built-ins: arrays, maps, JSON. */
import { isDeepEqual } from "../operators/comparison.ts";
import { panic } from "../runtime/fault.ts";
import {
  FUEL_ELEMENTS,
  MEMORY_CONTAINER,
  MEMORY_ELEMENT,
  MEMORY_NUMBER,
} from "../runtime/limits.ts";
import type { NeedleRun } from "../runtime/run.ts";
import { compareTexts } from "../values/byte-text.ts";
import { NeedleArray, type NeedleMap } from "../values/value.ts";
import { type Builtin, builtin, parameter as p } from "./builtin.ts";
import { decodeJson, encodeJson } from "./json.ts";
import { chargeWork } from "./values.ts";

const array = p("array", "array");
const map = p("map", "map");

function keysOf(run: NeedleRun, from: NeedleMap): string[] {
  run.useMemory(MEMORY_CONTAINER + MEMORY_ELEMENT * from.size);
  run.useFuel(Math.floor(from.size / FUEL_ELEMENTS));
  return [...from.entries.keys()];
}

export const CONTAINER_BUILTINS: readonly Builtin[] = [
  builtin(
    "Len",
    [p("array", "any")],
    "int",
    "How many elements an array has; 0 for nil.",
    { fuel: 5 },
    (_, value) => {
      if (value instanceof NeedleArray) return BigInt(value.length);
      if (value === "") return 0n;
      throw panic("NEEDLE_PARAMETER_TYPE", "parameter 1 of Len must be an array");
    },
  ),
  builtin(
    "Append",
    [array, p("value", "any")],
    "array",
    "Array with one more element; assign it back.",
    {},
    (run, to, value) => {
      run.useMemory(MEMORY_ELEMENT + MEMORY_NUMBER);
      const { array: grown, copied } = to.grown(to.length, value);
      run.useMemory(MEMORY_CONTAINER + MEMORY_ELEMENT * copied);
      run.useFuel(Math.ceil(copied / FUEL_ELEMENTS));
      return grown;
    },
  ),
  builtin(
    "GetMapKeys",
    [map],
    "array",
    "Keys of a map in the order of insertion.",
    {},
    (run, from) => NeedleArray.of(keysOf(run, from)),
  ),
  builtin(
    "SortedKeys",
    [map],
    "array",
    "Keys of a map in the order of their bytes.",
    {},
    (run, from) => {
      run.useFuel(2 * from.size);
      return NeedleArray.of(keysOf(run, from).sort(compareTexts));
    },
  ),
  builtin(
    "HasSlice",
    [p("value", "any"), array],
    "bool",
    "Whether an array has an element equal to a value in type and contents.",
    {},
    (run, value, items) => {
      for (const item of items) if (isDeepEqual(item, value, run)) return true;
      return false;
    },
  ),
  builtin("JSONEncode", [p("value", "any")], "string", "JSON of a value.", {}, (run, value) =>
    encodeJson(value, run),
  ),
  builtin(
    "JSONEncodeIndent",
    [p("value", "any"), p("indent", "string")],
    "string",
    "JSON of a value over several lines.",
    {},
    (run, value, indent) => encodeJson(value, run, indent),
  ),
  builtin(
    "JSONDecode",
    [p("text", "string")],
    "any",
    "Value of a JSON text; keys of objects come sorted.",
    {},
    (run, text) => {
      chargeWork(run, text.length);
      return decodeJson(text, run);
    },
  ),
  builtin(
    "JSONToMap",
    [p("text", "string")],
    "any",
    "Older name of JSONDecode.",
    {},
    (run, text) => {
      chargeWork(run, text.length);
      return decodeJson(text, run);
    },
  ),
];
