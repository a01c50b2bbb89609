/**
 * etcd through its HTTP/JSON gateway (etcd 3.4 and newer, paths under /v3): keys and values in
 * base64, 64-bit integers as text, zero values left out.
 */
import { type Bytes, HanseError } from "@hanse/protocol";
import { type Compare, type EtcdApi, endOfPrefix, type KeyValue, type Put } from "./etcd-api.ts";
import { HttpCaller, type HttpCallerOptions } from "./http-caller.ts";

export type EtcdGatewayOptions = Omit<HttpCallerOptions, "timeoutMs"> & {
  /** Longest wait for an answer; 2 000 unless said. */
  readonly timeoutMs?: number;
};

/** Giving room back stops a member of etcd for as long as it rewrites its database. */
const DEFRAGMENT_MS_MAX = 60_000;

type Json = Record<string, unknown>;

const keyText = (key: string) => Buffer.from(key, "utf8").toString("base64");
const valueText = (value: Bytes) => Buffer.from(value).toString("base64");
const valueBytes = (value: unknown): Bytes =>
  new Uint8Array(Buffer.from(typeof value === "string" ? value : "", "base64"));
const object = (value: unknown): Json =>
  typeof value === "object" && value !== null ? (value as Json) : {};
const list = (value: unknown): Json[] => (Array.isArray(value) ? value.map(object) : []);

/** An int64 of the gateway; absent = 0. */
function integer(value: unknown, field: string): number {
  const number = value === undefined ? 0 : Number(value);
  if (!Number.isSafeInteger(number)) {
    throw new HanseError("ETCD_ANSWER", "malformed", `etcd: ${field} is no integer of ours`);
  }
  return number;
}

function readKeyValue(value: Json): KeyValue {
  return {
    key: Buffer.from(valueBytes(value.key)).toString("utf8"),
    value: valueBytes(value.value),
    createRevision: integer(value.create_revision, "create_revision"),
    modRevision: integer(value.mod_revision, "mod_revision"),
  };
}

function compareJson(compare: Compare): Json {
  const key = keyText(compare.key);
  return "value" in compare
    ? { key, target: "VALUE", result: "EQUAL", value: valueText(compare.value) }
    : { key, target: "CREATE", result: "EQUAL", create_revision: String(compare.createRevision) };
}

function putJson({ key, value, lease }: Put): Json {
  return {
    request_put: { key: keyText(key), value: valueText(value), ...(lease && { lease }) },
  };
}

/** @throws HanseError `ETCD_ENDPOINTS`; the calls as `EtcdApi` says. */
export function createEtcdGateway(options: EtcdGatewayOptions): EtcdApi {
  const caller = new HttpCaller({ ...options, timeoutMs: options.timeoutMs ?? 2_000 });
  const revisionOf = (answer: Json) => integer(object(answer.header).revision, "header.revision");

  return {
    async range({ key, end, limit }) {
      const answer = await caller.call(
        "/v3/kv/range",
        {
          key: keyText(key),
          ...(end === undefined ? {} : { range_end: keyText(end) }),
          ...(limit === undefined ? {} : { limit: String(limit) }),
        },
        true,
      );
      return { revision: revisionOf(answer), kvs: list(answer.kvs).map(readKeyValue) };
    },
    async putIf(compares, puts) {
      const body = { compare: compares.map(compareJson), success: puts.map(putJson), failure: [] };
      const answer = await caller.call("/v3/kv/txn", body, false);
      return { revision: revisionOf(answer), succeeded: answer.succeeded === true };
    },
    async deleteRange(key, end) {
      const body = { key: keyText(key), range_end: keyText(end) };
      await caller.call("/v3/kv/deleterange", body, true);
    },
    async grantLease(ttlMs) {
      const body = { TTL: String(Math.ceil(ttlMs / 1000)) };
      const { ID } = await caller.call("/v3/lease/grant", body, true);
      if (typeof ID === "string") return ID;
      throw new HanseError("ETCD_ANSWER", "malformed", "etcd: a lease without an id");
    },
    async keepAlive(lease) {
      const answer = await caller.call("/v3/lease/keepalive", { ID: lease }, true);
      return integer(object(answer.result).TTL, "TTL") > 0;
    },
    async revokeLease(lease) {
      try {
        await caller.call("/v3/lease/revoke", { ID: lease }, true);
      } catch (error) {
        if (!(error instanceof HanseError) || error.code !== "ETCD_LEASE") throw error;
      }
    },
    watch(prefix, fromRevision, { onChanges, onEnd }) {
      let compacted = false;
      const request = {
        create_request: {
          key: keyText(prefix),
          range_end: keyText(endOfPrefix(prefix)),
          start_revision: String(Math.max(1, fromRevision)),
          // Without it a backlog above etcd's message limit brings neither events nor an error.
          fragment: true,
        },
      };
      const onLine = (line: Json) => {
        const result = object(line.result);
        if (result.canceled === true) {
          compacted = result.compact_revision !== undefined;
          stream.cancel();
          onEnd(compacted);
          return;
        }
        const changes = list(result.events).map((event) => {
          const kv = readKeyValue(object(event.kv));
          return { key: kv.key, value: event.type === "DELETE" ? undefined : kv.value, kv };
        });
        if (changes.length > 0) onChanges(changes);
      };
      const stream = caller.stream("/v3/watch", request, onLine, () => onEnd(compacted));
      return stream;
    },
    async compact(revision) {
      try {
        await caller.call("/v3/kv/compaction", { revision: String(revision) }, true);
      } catch (error) {
        // Somebody else was faster.
        if (!(error instanceof HanseError) || error.code !== "ETCD_COMPACTED") throw error;
      }
    },
    async isOutOfSpace() {
      const answer = await caller.call("/v3/maintenance/alarm", { action: "GET" }, true);
      return list(answer.alarms).some(({ alarm }) => alarm === "NOSPACE");
    },
    async reclaimSpace() {
      for (const endpoint of caller.endpoints) {
        await caller.callAt(endpoint, "/v3/maintenance/defragment", {}, DEFRAGMENT_MS_MAX);
      }
      const answer = await caller.call("/v3/maintenance/alarm", { action: "GET" }, true);
      for (const { memberID, alarm } of list(answer.alarms)) {
        const body = { action: "DEACTIVATE", memberID, alarm };
        await caller.call("/v3/maintenance/alarm", body, true);
      }
    },
    close: () => caller.close(),
  };
}
