/** Submitting transactions, and what became of them. */
import { decodeBatch, toProblem } from "@hanse/api";
import type { Sender } from "@hanse/ledger";
import { type Bytes, fromHex, HanseError, toHex } from "@hanse/protocol";
import type { RowRef } from "@hanse/state";
import { keyFromText, outcomeToJson, parseHash } from "./json-forms.ts";
import { type Handlers, sendProblem } from "./route-binding.ts";
import type { NodeServices } from "./services.ts";

type Names = "submitTransaction" | "submitBatch" | "getTransaction" | "getReceipt";

function bytesOfText(text: string): Bytes {
  const base64 = text.startsWith("base64:");
  const body = base64 ? text.slice(7) : text;
  const valid = base64
    ? /^[A-Za-z0-9+/]+={0,2}$/.test(body) && body.length % 4 === 0
    : /^([0-9a-fA-F]{2})+$/.test(body);
  if (!valid) {
    throw new HanseError(
      "API_TRANSACTION_TEXT",
      "malformed",
      "transaction: expected hex, or base64 with padding after base64:",
      { details: { field: "transaction" } },
    );
  }
  return base64 ? new Uint8Array(Buffer.from(body, "base64")) : fromHex(body);
}

function missingBody(): never {
  throw new HanseError("API_BODY", "malformed", "body: expected the transaction's bytes");
}

export function createTransactionHandlers(services: NodeServices): Pick<Handlers, Names> {
  const { ledger, config, state } = services;

  async function waitFinal(id: Bytes, timeoutMs: number) {
    try {
      const status = await ledger.waitFor(id, "final", {
        timeoutMs: Math.min(timeoutMs, config.api.waitMsMax),
      });
      if (status.state === "final") return status;
      if (status.state === "expired") throw expired();
    } catch (error) {
      // It is journaled all the same: 202 says so.
      if (!(error instanceof HanseError) || error.code !== "LEDGER_WAIT_TIMEOUT") throw error;
    }
    return undefined;
  }

  return {
    async submitTransaction({ bytes, body, query }) {
      const transaction =
        bytes ?? (body === undefined ? missingBody() : bytesOfText(body.transaction));
      const { id } = await ledger.submit(transaction);
      const hex = toHex(id);
      if (query.wait === "final") {
        const final = await waitFinal(id, query.timeoutMs ?? 10_000);
        if (final !== undefined) {
          const { height, index } = final;
          const outcome = outcomeToJson(final.outcome);
          return { json: { id: hex, status: "final", height, index, outcome } };
        }
      }
      return { status: 202, jsonText: `{"id":"${hex}","status":"accepted"}` };
    },

    async submitBatch({ bytes, reply }) {
      const list = decodeBatch(bytes ?? missingBody(), config.api.batchTransactionsMax);
      const results = await ledger.submitMany(list);
      const refused: { index: number; error: HanseError }[] = [];
      for (const [index, result] of results.entries()) {
        if (result instanceof HanseError) refused.push({ index, error: result });
      }
      const first = refused[0]?.error;
      // One reason for all is the reason of the request: a full pool is a 429.
      if (refused.length === list.length && refused.every((r) => r.error.code === first!.code)) {
        sendProblem(reply, toProblem(first));
        return "answered";
      }
      if (refused.length === 0) {
        return { status: 202, jsonText: `{"accepted":${list.length},"refused":[]}` };
      }
      return {
        status: 202,
        json: {
          accepted: list.length - refused.length,
          refused: refused.map(({ index, error }) => ({ index, problem: toProblem(error) })),
        },
      };
    },

    async getTransaction({ params }) {
      const status = await ledger.status(parseHash(params.id, "id"));
      switch (status.state) {
        case "pending":
          return { json: { id: params.id, status: "pending" } };
        case "final": {
          const { height, index } = status;
          const outcome = outcomeToJson(status.outcome);
          return { json: { id: params.id, status: "final", height, index, outcome } };
        }
        case "expired":
          throw expired();
        case "unknown": {
          const pruned = await ledger.reads.prunedHeight?.(parseHash(params.id, "id"));
          if (pruned !== undefined) {
            throw new HanseError(
              "LEDGER_BLOCK_PRUNED",
              "notFound",
              `id: the transaction stands in block ${pruned}, which is no longer kept here: ask an archive node`,
              { details: { field: "id", height: pruned } },
            );
          }
          throw new HanseError(
            "LEDGER_TX_UNKNOWN",
            "notFound",
            "id: this node knows no such transaction: submit it, or ask the node that accepted it",
            { details: { field: "id" } },
          );
        }
      }
    },

    async getReceipt({ params, query, identify }) {
      const id = parseHash(params.id, "id");
      const wanted = query.state ?? [];
      const texts = typeof wanted === "string" ? [wanted] : wanted;
      const refs: RowRef[] = [];
      for (const text of texts) {
        const at = text.indexOf(":");
        const schema = at < 1 ? undefined : state.schema(text.slice(0, at));
        if (schema === undefined) {
          throw new HanseError("API_STATE", "malformed", "state: expected table:key of a table", {
            details: { field: "state" },
          });
        }
        refs.push({ table: schema.name, key: keyFromText(text.slice(at + 1), schema) });
      }
      if (refs.length > 0) {
        const { sender } = identify();
        for (const { table, key } of refs) await requireWholeRow(services, table, key, sender);
      }
      const bytes = await services.receipt(id, refs).catch((error: unknown) => {
        if (!(error instanceof HanseError) || error.code !== "LEDGER_WAIT_TIMEOUT") throw error;
        throw new HanseError(
          "LEDGER_RECEIPT_PENDING",
          "unavailable",
          "the block that certifies the outcome is not final yet: ask again",
          { details: { retryAfterSeconds: 1 } },
        );
      });
      return { bytes, contentType: "application/octet-stream" };
    },
  };
}

function expired(): HanseError {
  return new HanseError(
    "API_TX_EXPIRED",
    "notFound",
    "id: block time passed its validUntil before a block took it; sign it anew",
    { details: { field: "id" } },
  );
}

/**
 * A proof shows a row whole, so its every column must be open to the caller; that a row is not
 * there may be proven to those who see every row.
 */
export async function requireWholeRow(
  services: NodeServices,
  table: string,
  key: RowRef["key"],
  sender: Sender,
): Promise<void> {
  const schema = services.state.schema(table)!;
  const column = schema.columns[0]!.name;
  const query = { table, where: { op: "eq", column, value: key }, limit: 1 } as const;
  const { columns, rows } = await services.tables.read(query, undefined, sender);
  const whole = columns.length === schema.columns.length;
  if (whole && (rows.length > 0 || services.tables.seesAllRows(table, sender))) return;
  throw new HanseError(
    "API_ROW_DENIED",
    "denied",
    `${table}: the row is not there or not wholly open to you`,
    { details: { field: "key", table } },
  );
}
