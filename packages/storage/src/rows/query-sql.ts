/** Queries as SQL with parameters; verdicts are those of `evaluateCondition` in packages/state. */
import type { ColumnType, ColumnValue, Condition, Query, TableSchema } from "@hanse/state";
import { columnIndex, compileCondition, validatePage } from "@hanse/state";
import { arrayParameter, encodeArray, quoteName, selectList } from "./column-codec.ts";

export interface Statement {
  readonly text: string;
  readonly values: unknown[];
}

const OPERATORS = { eq: "=", ne: "<>", lt: "<", le: "<=", gt: ">", ge: ">=" } as const;

const CASTS: Readonly<Record<ColumnType, string>> = {
  int: "bigint",
  time: "bigint",
  text: "text",
  json: "text",
  money: "numeric",
  bytes: "bytea",
  bool: "boolean",
  float: "double precision",
};

/** Characters (bytes for `bytes` columns) of a value that a secondary index holds. */
export const INDEXED_PREFIX = 200;

/** What a secondary index of a column is over: long values would not fit into a page of it. */
export function indexExpression(
  schema: TableSchema,
  name: string,
  expression = quoteName(name),
): string {
  const { type } = schema.columns[columnIndex(schema, name)]!;
  if (type === "text" || type === "json") return `left(${expression}, ${INDEXED_PREFIX})`;
  if (type === "bytes") return `substring(${expression} from 1 for ${INDEXED_PREFIX})`;
  return expression;
}

class ConditionSql {
  readonly #schema: TableSchema;
  readonly values: unknown[] = [];

  constructor(schema: TableSchema) {
    this.#schema = schema;
  }

  #parameter(value: unknown): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }

  #scalar(type: ColumnType, value: ColumnValue): string {
    const parameter = this.#parameter(
      value === null || typeof value === "boolean"
        ? value
        : typeof value === "object"
          ? Buffer.from(value.buffer, value.byteOffset, value.length)
          : String(value),
    );
    return `${parameter}::${CASTS[type]}`;
  }

  /** What the index of a column is over, applied to an expression; empty when it has no index. */
  #indexed(name: string, expression = quoteName(name)): string {
    if (!this.#schema.indexes.includes(name)) return "";
    return indexExpression(this.#schema, name, expression);
  }

  /** An extra term that lets an index over a prefix serve an equality. */
  #indexTerm(name: string, type: ColumnType, value: ColumnValue): string {
    const indexed = this.#indexed(name);
    if (value === null || indexed === "" || indexed === quoteName(name)) return "";
    return ` and ${indexed} = ${this.#indexed(name, this.#scalar(type, value))}`;
  }

  sql(condition: Condition): string {
    switch (condition.op) {
      case "and":
      case "or": {
        if (condition.of.length === 0) return condition.op === "and" ? "true" : "false";
        return `(${condition.of.map((part) => this.sql(part)).join(` ${condition.op} `)})`;
      }
      case "not":
        return `(not ${this.sql(condition.of)})`;
    }
    const name = condition.column;
    const column = quoteName(name);
    const { type } = this.#schema.columns[columnIndex(this.#schema, name)]!;
    switch (condition.op) {
      case "isNull":
        return `(${column} is null)`;
      case "notNull":
        return `(${column} is not null)`;
      case "in":
      case "notIn": {
        const { values } = condition;
        const place = this.#parameter(encodeArray(type, values.length, (i) => values[i]!));
        const list = arrayParameter(type, Number(place.slice(1)));
        const cast = type === "money" ? `${list}::numeric[]` : list;
        if (condition.op === "notIn") return `(${column} <> all(${cast}))`;
        const hasPrefix = /^left|^substring/.test(this.#indexed(name));
        const term = hasPrefix
          ? ` and ${this.#indexed(name)} = any(array(select ${this.#indexed(name, "v")} from unnest(${list}) v))`
          : "";
        return `(${column} = any(${cast})${term})`;
      }
      case "like":
      case "ilike":
        return `(${column} ${condition.op} ${this.#parameter(condition.pattern)}::text)`;
      case "json": {
        const { path, compare, value } = condition;
        const steps = this.#parameter(encodeArray("text", path.length, (i) => path[i]!));
        const text = `(${column}::json #>> ${steps}::text[]) collate "C"`;
        return `(${text} ${OPERATORS[compare]} ${this.#parameter(value)}::text)`;
      }
      default: {
        const test = `${column} ${OPERATORS[condition.op]} ${this.#scalar(type, condition.value)}`;
        if (condition.op !== "eq") return `(${test})`;
        return `(${test}${this.#indexTerm(name, type, condition.value)})`;
      }
    }
  }
}

function from(schemaName: string, schema: TableSchema): string {
  return `${quoteName(schemaName)}.${quoteName(schema.name)}`;
}

/** @throws HanseError `STATE_NO_COLUMN`, `STATE_QUERY` */
export function findStatement(schemaName: string, schema: TableSchema, query: Query): Statement {
  const { limit, offset } = validatePage(query);
  compileCondition(schema, query.where);
  const where = new ConditionSql(schema);
  const condition = query.where === undefined ? "" : ` where ${where.sql(query.where)}`;
  const order: string[] = [];
  for (const part of query.order ?? []) {
    columnIndex(schema, part.column);
    // Qualified: a bare name would mean the selected column, which for money is a text.
    order.push(`r.${quoteName(part.column)}${part.descending === true ? " desc" : ""}`);
  }
  const key = `r.${quoteName(schema.columns[0]!.name)}`;
  const text = `select ${selectList(schema)} from ${from(schemaName, schema)} r${condition} order by ${[...order, key].join(", ")} limit ${limit} offset ${offset}`;
  return { text, values: where.values };
}

/** Also gives the height the count is of, from the same snapshot. */
export function countStatement(
  schemaName: string,
  schema: TableSchema,
  query: Pick<Query, "where">,
): Statement {
  compileCondition(schema, query.where);
  const where = new ConditionSql(schema);
  const condition = query.where === undefined ? "" : ` where ${where.sql(query.where)}`;
  const text = `select (select height from ${quoteName(schemaName)}."$meta") as height, count(*) as count from ${from(schemaName, schema)}${condition}`;
  return { text, values: where.values };
}
