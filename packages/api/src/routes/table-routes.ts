/** Reading state: tables, rows, history, proofs, read-only calls. */
import { Type } from "@sinclair/typebox";
import { ColumnValueJson, HashText, HeightNumber, HexText, TableName } from "./forms.ts";
import { defineRoute } from "./route.ts";

export const ROW_PAGE_MAX = 1000;
/** Characters of a `where` condition. */
export const WHERE_LENGTH_MAX = 8192;

const ColumnJson = Type.Object({ name: Type.String(), type: Type.String() });

const TableJson = Type.Object({
  name: Type.String(),
  columns: Type.Array(ColumnJson),
  indexes: Type.Array(Type.String()),
});

const RowValues = Type.Record(Type.String(), ColumnValueJson);

const RowJson = Type.Object({
  height: Type.Optional(Type.Integer({ description: "Height of the row's last change." })),
  values: RowValues,
});

const RowParams = Type.Object({
  name: TableName,
  key: Type.String({
    minLength: 1,
    maxLength: 512,
    description: "Primary key: decimal, text, or bytes in hex.",
  }),
});

export const listTables = defineRoute({
  id: "listTables",
  group: "tables",
  method: "GET",
  path: "/v1/tables",
  summary: "Tables of the ledger with their columns",
  access: "account",
  responses: {
    200: { description: "The tables", json: Type.Object({ tables: Type.Array(TableJson) }) },
  },
});

export const listRows = defineRoute({
  id: "listRows",
  group: "tables",
  method: "GET",
  path: "/v1/tables/{name}/rows",
  summary: "Rows that the caller may read",
  description:
    'where: a condition as JSON, e.g. {"op":"eq","column":"org","value":"court"}; ops eq, ne, lt, le, gt, ge, in, notIn, like, ilike, isNull, notNull, json, and, or, not. order: column names separated by commas, a minus in front for descending.',
  access: "account",
  params: Type.Object({ name: TableName }),
  query: Type.Object({
    where: Type.Optional(Type.String({ maxLength: WHERE_LENGTH_MAX })),
    order: Type.Optional(Type.String({ maxLength: 1024 })),
    columns: Type.Optional(Type.String({ maxLength: 4096 })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: ROW_PAGE_MAX, default: 50 })),
    offset: Type.Optional(Type.Integer({ minimum: 0, maximum: 10_000_000, default: 0 })),
  }),
  responses: {
    200: {
      description: "Rows in a total order",
      json: Type.Object({
        table: Type.String(),
        height: HeightNumber,
        columns: Type.Array(ColumnJson),
        rows: Type.Array(RowJson),
      }),
    },
  },
  problems: [403, 404],
});

export const getRow = defineRoute({
  id: "getRow",
  group: "tables",
  method: "GET",
  path: "/v1/tables/{name}/rows/{key}",
  summary: "One row by its primary key",
  access: "account",
  params: RowParams,
  responses: {
    200: {
      description: "The row",
      json: Type.Object({ table: Type.String(), height: HeightNumber, row: RowJson }),
    },
  },
  problems: [403, 404],
});

export const getRowHistory = defineRoute({
  id: "getRowHistory",
  group: "tables",
  method: "GET",
  path: "/v1/tables/{name}/rows/{key}/history",
  summary: "Every change of a row, newest first: who, which transaction, before and after",
  access: "account",
  params: RowParams,
  query: Type.Object({
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: ROW_PAGE_MAX, default: 50 })),
    beforeHeight: Type.Optional(Type.Integer({ minimum: 1 })),
  }),
  responses: {
    200: {
      description: "The changes",
      json: Type.Object({
        table: Type.String(),
        changes: Type.Array(
          Type.Object({
            height: HeightNumber,
            index: Type.Integer(),
            transactionId: HashText,
            sender: HashText,
            before: Type.Optional(RowValues),
            after: Type.Optional(RowValues),
          }),
        ),
      }),
    },
  },
  problems: [403, 404],
});

export const getRowProof = defineRoute({
  id: "getRowProof",
  group: "tables",
  method: "GET",
  path: "/v1/tables/{name}/rows/{key}/proof",
  summary: "Proof that the row is, or is not, in the state at the newest height",
  access: "account",
  params: RowParams,
  responses: {
    200: {
      description: "The proof against the state root after `height`",
      json: Type.Object({
        table: Type.String(),
        height: HeightNumber,
        root: HashText,
        keyHash: HashText,
        leaf: Type.Optional(Type.Object({ keyHash: HashText, valueHash: HashText })),
        siblings: Type.Array(HexText),
      }),
    },
  },
  problems: [403, 404],
});

export const runQuery = defineRoute({
  id: "runQuery",
  group: "queries",
  method: "POST",
  path: "/v1/queries",
  summary: "A read-only call of a contract engine at the newest state",
  access: "account",
  body: Type.Object(
    {
      engine: Type.String({ minLength: 1, maxLength: 32 }),
      name: Type.String({ minLength: 1, maxLength: 256 }),
      input: Type.Optional(Type.Unknown()),
    },
    { additionalProperties: false },
  ),
  responses: {
    200: {
      description: "The answer",
      json: Type.Object({ height: HeightNumber, result: Type.Unknown() }),
    },
  },
  problems: [403, 404, 422],
});

export const listApplications = defineRoute({
  id: "listApplications",
  group: "applications",
  method: "GET",
  path: "/v1/applications",
  summary: "Installed applications",
  access: "account",
  responses: {
    200: {
      description: "The applications",
      json: Type.Object({ height: HeightNumber, applications: Type.Array(Type.Unknown()) }),
    },
  },
});
