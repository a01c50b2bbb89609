/** Tables, rows, history, proofs, read-only calls; everything with the rights of the caller. */

import type { Sender } from "@hanse/ledger";
import { HanseError, stateKeyHash, toHex } from "@hanse/protocol";
import type { ColumnSchema, ColumnValue, RowKey, TableSchema } from "@hanse/state";
import type { Caller, Callers } from "./callers.ts";
import { parseColumns, parseCondition, parseOrder } from "./condition-json.ts";
import { keyFromText, valuesToJson } from "./json-forms.ts";
import type { Handlers } from "./route-binding.ts";
import type { NodeServices } from "./services.ts";
import { requireWholeRow } from "./transaction-handlers.ts";

type Names =
  | "listTables"
  | "listRows"
  | "getRow"
  | "getRowHistory"
  | "getRowProof"
  | "runQuery"
  | "listApplications";

export function createTableHandlers(
  services: NodeServices,
  callers: Callers,
): Pick<Handlers, Names> {
  const { state, tables, ledger } = services;

  function requireSchema(name: string): TableSchema {
    const schema = state.schema(name);
    if (schema !== undefined) return schema;
    throw new HanseError("STATE_NO_TABLE", "notFound", `name: no table ${name} on this ledger`, {
      details: { field: "name" },
    });
  }

  function readRow(schema: TableSchema, key: RowKey, sender: Sender) {
    const column = schema.columns[0]!.name;
    return tables.read(
      { table: schema.name, where: { op: "eq", column, value: key }, limit: 1 },
      undefined,
      sender,
    );
  }

  function noRow(schema: TableSchema): HanseError {
    return new HanseError(
      "API_NO_ROW",
      "notFound",
      `key: no such row in ${schema.name}, or it is not open to you`,
      { details: { field: "key" } },
    );
  }

  /** Runs where blocks are executed, so its time is the caller's to pay. */
  function askEngine(engine: string, name: string, input: unknown, caller: Caller): unknown {
    const started = performance.now();
    try {
      return ledger.query(engine, name, input, caller.sender);
    } finally {
      callers.chargeTime(caller, performance.now() - started);
    }
  }

  const senderOf = (caller: Caller | undefined) => caller!.sender;

  return {
    listTables() {
      const list = state.tables().map((name) => state.schema(name)!);
      return {
        json: { tables: list.map(({ name, columns, indexes }) => ({ name, columns, indexes })) },
      };
    },

    async listRows({ params, query, caller }) {
      const schema = requireSchema(params.name);
      const columns = query.columns === undefined ? undefined : parseColumns(query.columns, schema);
      const visible = await tables.read(
        {
          table: schema.name,
          ...(query.where === undefined ? {} : { where: parseCondition(query.where, schema) }),
          ...(query.order === undefined ? {} : { order: parseOrder(query.order, schema) }),
          limit: query.limit ?? 50,
          offset: query.offset ?? 0,
        },
        columns,
        senderOf(caller),
      );
      return {
        json: {
          table: schema.name,
          height: ledger.tip.height,
          columns: visible.columns,
          rows: visible.rows.map(({ height, values }) => ({
            ...(height === undefined ? {} : { height }),
            values: valuesToJson(visible.columns, values),
          })),
        },
      };
    },

    async getRow({ params, caller }) {
      const schema = requireSchema(params.name);
      const key = keyFromText(params.key, schema);
      const { columns, rows } = await readRow(schema, key, senderOf(caller));
      const row = rows[0];
      if (row === undefined) throw noRow(schema);
      const values = valuesToJson(columns, row.values);
      return {
        json: {
          table: schema.name,
          height: ledger.tip.height,
          row: { ...(row.height === undefined ? {} : { height: row.height }), values },
        },
      };
    },

    async getRowHistory({ params, query, caller }) {
      const schema = requireSchema(params.name);
      const key = keyFromText(params.key, schema);
      const sender = senderOf(caller);
      const { columns, rows } = await readRow(schema, key, sender);
      if (rows.length === 0 && !tables.seesAllRows(schema.name, sender)) throw noRow(schema);
      const entries = await ledger.reads.history(schema.name, key, {
        limit: query.limit ?? 50,
        ...(query.beforeHeight === undefined ? {} : { beforeHeight: query.beforeHeight }),
      });
      if (entries.length === 0 && rows.length === 0) throw noRow(schema);
      const pick = (values: readonly ColumnValue[]) => pickColumns(schema, columns, values);
      return {
        json: {
          table: schema.name,
          changes: entries.map((entry) => ({
            height: entry.height,
            index: entry.index,
            transactionId: toHex(entry.transactionId),
            sender: toHex(entry.sender),
            ...(entry.before === undefined ? {} : { before: pick(entry.before) }),
            ...(entry.after === undefined ? {} : { after: pick(entry.after) }),
          })),
        },
      };
    },

    async getRowProof({ params, caller }) {
      const schema = requireSchema(params.name);
      const key = keyFromText(params.key, schema);
      await requireWholeRow(services, schema.name, key, senderOf(caller));
      const stateKey = { kind: "row", table: schema.name, key } as const;
      const { height, root, proofs } = await ledger.reads.proveState([stateKey]);
      const proof = proofs[0]!;
      return {
        json: {
          table: schema.name,
          height,
          root: toHex(root),
          keyHash: toHex(stateKeyHash(stateKey)),
          ...(proof.leaf === undefined
            ? {}
            : {
                leaf: {
                  keyHash: toHex(proof.leaf.keyHash),
                  valueHash: toHex(proof.leaf.valueHash),
                },
              }),
          siblings: proof.siblings.map(toHex),
        },
      };
    },

    runQuery({ body, caller }) {
      const { engine, name, input } = body!;
      const { height } = ledger.tip;
      const result = askEngine(engine, name, input ?? {}, caller!);
      return { json: { height, result: result ?? null } };
    },

    listApplications({ caller }) {
      const { height } = ledger.tip;
      const { applications } = askEngine("needle", "app.list", {}, caller!) as {
        readonly applications: readonly unknown[];
      };
      return { json: { height, applications } };
    },
  };
}

/** Values of history may be shorter than the schema: columns are added in the course of time. */
function pickColumns(
  schema: TableSchema,
  columns: readonly ColumnSchema[],
  values: readonly ColumnValue[],
) {
  const picked = columns.map(({ name }) => {
    const at = schema.columns.findIndex((column) => column.name === name);
    return values[at] ?? null;
  });
  return valuesToJson(columns, picked);
}
