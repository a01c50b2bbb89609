/** Conditions and orders of a row query, from a request to the form that state evaluates. */
import { HanseError } from "@hanse/protocol";
import {
  CONDITION_DEPTH_MAX,
  CONDITION_NODES_MAX,
  type ColumnType,
  type Condition,
  ORDER_COLUMNS_MAX,
  type Order,
  type TableSchema,
} from "@hanse/state";
import { valueFromJson } from "./json-forms.ts";

const COMPARISONS: ReadonlySet<string> = new Set(["eq", "ne", "lt", "le", "gt", "ge"]);
const VALUES_MAX = 1000;

function wrong(field: string, message: string): never {
  throw new HanseError("API_CONDITION", "malformed", `${field}: ${message}`, {
    details: { field },
  });
}

class ConditionParser {
  readonly #types: ReadonlyMap<string, ColumnType>;
  #nodes = 0;

  constructor(schema: TableSchema) {
    this.#types = new Map(schema.columns.map(({ name, type }) => [name, type]));
  }

  parse(value: unknown, at: string, depth: number): Condition {
    if (++this.#nodes > CONDITION_NODES_MAX)
      wrong("where", `more than ${CONDITION_NODES_MAX} parts`);
    if (depth > CONDITION_DEPTH_MAX) wrong("where", `nested deeper than ${CONDITION_DEPTH_MAX}`);
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      wrong(at, 'expected an object such as {"op":"eq","column":"id","value":"1"}');
    }
    const condition = value as Record<string, unknown>;
    const { op } = condition;
    if (op === "and" || op === "or") {
      if (!Array.isArray(condition.of)) wrong(`${at}.of`, "expected a list of conditions");
      return {
        op,
        of: condition.of.map((part, i) => this.parse(part, `${at}.of[${i}]`, depth + 1)),
      };
    }
    if (op === "not") return { op, of: this.parse(condition.of, `${at}.of`, depth + 1) };
    const { column } = condition;
    const type = typeof column === "string" ? this.#types.get(column) : undefined;
    if (typeof column !== "string" || type === undefined) {
      wrong(`${at}.column`, `expected one of ${[...this.#types.keys()].join(", ")}`);
    }
    return this.#parseTest(condition, column, type, at);
  }

  #parseTest(
    condition: Record<string, unknown>,
    column: string,
    type: ColumnType,
    at: string,
  ): Condition {
    const { op } = condition;
    if (op === "isNull" || op === "notNull") return { op, column };
    if (op === "like" || op === "ilike") {
      const { pattern } = condition;
      if (typeof pattern !== "string") wrong(`${at}.pattern`, "expected a text with % and _");
      return { op, column, pattern };
    }
    if (op === "in" || op === "notIn") {
      const { values } = condition;
      if (!Array.isArray(values) || values.length > VALUES_MAX) {
        wrong(`${at}.values`, `expected a list of at most ${VALUES_MAX} values`);
      }
      const list = values.map((v, i) => valueFromJson(v, type, `${at}.values[${i}]`));
      return { op, column, values: list };
    }
    if (op === "json") {
      const { path, compare, value } = condition;
      if (!Array.isArray(path) || path.some((step) => typeof step !== "string")) {
        wrong(`${at}.path`, "expected a list of texts");
      }
      if (typeof compare !== "string" || !COMPARISONS.has(compare)) {
        wrong(`${at}.compare`, "expected eq, ne, lt, le, gt or ge");
      }
      if (value !== null && typeof value !== "string") wrong(`${at}.value`, "expected a text");
      return { op, column, path: path as string[], compare: compare as "eq", value };
    }
    if (typeof op === "string" && COMPARISONS.has(op)) {
      const value = valueFromJson(condition.value, type, `${at}.value`);
      return { op: op as "eq", column, value };
    }
    return wrong(
      `${at}.op`,
      "expected eq, ne, lt, le, gt, ge, in, notIn, like, ilike, isNull, notNull, json, and, or, not",
    );
  }
}

/** @throws HanseError `API_CONDITION` or `API_VALUE` naming the place. */
export function parseCondition(text: string, schema: TableSchema): Condition {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    wrong("where", "expected JSON");
  }
  return new ConditionParser(schema).parse(value, "where", 0);
}

/** `name,-height`: by name, then by height descending. @throws HanseError `API_CONDITION` */
export function parseOrder(text: string, schema: TableSchema): Order[] {
  const names = new Set(schema.columns.map((column) => column.name));
  const parts = text.split(",");
  if (parts.length > ORDER_COLUMNS_MAX) wrong("order", `at most ${ORDER_COLUMNS_MAX} columns`);
  return parts.map((part) => {
    const descending = part.startsWith("-");
    const column = descending ? part.slice(1) : part;
    if (!names.has(column)) wrong("order", `no column ${column} in ${schema.name}`);
    return { column, descending };
  });
}

/** @throws HanseError `API_CONDITION` */
export function parseColumns(text: string, schema: TableSchema): string[] {
  const names = new Set(schema.columns.map((column) => column.name));
  const list = text.split(",");
  for (const name of list) {
    if (!names.has(name)) wrong("columns", `no column ${name} in ${schema.name}`);
  }
  return [...new Set(list)];
}
