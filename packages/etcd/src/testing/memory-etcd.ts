/**
 * etcd's promises in memory, for tests of what is built on them: revisions, transactions, leases,
 * watches, compaction; and its unpleasant sides: a request that is lost before or after it took
 * effect, a member that cannot be reached. What real etcd does is test/e2e's matter.
 */
import { type Bytes, HanseError } from "@hanse/protocol";
import type { EtcdApi, KeyValue, WatchHandlers } from "../gateway/etcd-api.ts";

interface Entry extends KeyValue {
  readonly lease: string | undefined;
}

interface Watcher {
  readonly prefix: string;
  readonly handlers: WatchHandlers;
  readonly client: string;
}

type Change = Parameters<WatchHandlers["onChanges"]>[0][number];

export interface MemoryEtcd {
  /** etcd as one client sees it. */
  connect(client: string): EtcdApi;
  /** Nothing of the client's arrives any more, nor anything at it. */
  cut(client: string): void;
  heal(client: string): void;
  /** The next writes of the client fail with an unknown outcome, and took effect or not. */
  loseWrites(client: string, how: "before" | "after", count: number): void;
  /** Every lease of the client ends now. */
  expire(client: string): void;
  /** Everything is gone, as after a restore of nothing. */
  wipe(): void;
  setOutOfSpace(full: boolean): void;
  readonly revision: number;
  readonly entries: ReadonlyMap<string, KeyValue>;
  /** Writes straight into the store, as an intruder would. */
  put(key: string, value: Bytes): void;
}

export function createMemoryEtcd(now: () => number): MemoryEtcd {
  const entries = new Map<string, Entry>();
  const history: { readonly revision: number; readonly change: Change }[] = [];
  const leases = new Map<
    string,
    { readonly client: string; readonly ttlMs: number; until: number }
  >();
  const watchers = new Set<Watcher>();
  const cuts = new Set<string>();
  const losses = new Map<string, { readonly how: "before" | "after"; count: number }>();
  let revision = 1;
  let compacted = 0;
  let nextLease = 1;
  let full = false;

  function tell(changes: readonly Change[]): void {
    for (const change of changes) history.push({ revision, change });
    for (const watcher of watchers) {
      const wanted = changes.filter(({ key }) => key.startsWith(watcher.prefix));
      if (wanted.length === 0) continue;
      setImmediate(() => {
        if (watchers.has(watcher) && !cuts.has(watcher.client)) watcher.handlers.onChanges(wanted);
      });
    }
  }

  function write(puts: readonly { key: string; value: Bytes; lease?: string }[]): void {
    revision++;
    const changes = puts.map(({ key, value, lease }): Change => {
      const createRevision = entries.get(key)?.createRevision ?? revision;
      const kv = { key, value, createRevision, modRevision: revision };
      entries.set(key, { ...kv, lease });
      return { key, value, kv };
    });
    tell(changes);
  }

  function remove(keys: readonly string[]): void {
    if (keys.length === 0) return;
    revision++;
    const changes = keys.map((key): Change => {
      entries.delete(key);
      const kv = { key, value: new Uint8Array(0), createRevision: 0, modRevision: revision };
      return { key, value: undefined, kv };
    });
    tell(changes);
  }

  function endLease(id: string): void {
    leases.delete(id);
    remove([...entries.values()].filter(({ lease }) => lease === id).map(({ key }) => key));
  }

  function expireDue(): void {
    for (const [id, { until }] of [...leases]) if (until <= now()) endLease(id);
  }

  const unavailable = (code: string) =>
    new HanseError(code, "unavailable", "etcd in memory: not reached");

  async function reached<Result>(client: string, run: () => Result): Promise<Result> {
    await new Promise((resolve) => setImmediate(resolve));
    if (cuts.has(client)) throw unavailable("ETCD_UNREACHABLE");
    expireDue();
    return run();
  }

  /** A write, which may be lost on its way there or its answer on the way back. */
  function written<Result>(client: string, run: () => Result): Promise<Result> {
    return reached(client, () => {
      const loss = losses.get(client);
      if (loss === undefined || loss.count === 0) return run();
      loss.count--;
      if (loss.how === "after") run();
      throw unavailable("ETCD_TIMEOUT");
    });
  }

  function assertSpace(): void {
    if (full) throw new HanseError("ETCD_NO_SPACE", "limit", "etcd in memory: space exceeded");
  }

  function connect(client: string): EtcdApi {
    const mine = new Set<Watcher>();
    return {
      range: ({ key, end, limit }) =>
        reached(client, () => ({
          revision,
          kvs: [...entries.values()]
            .filter((kv) => (end === undefined ? kv.key === key : kv.key >= key && kv.key < end))
            .sort((a, b) => (a.key < b.key ? -1 : 1))
            .slice(0, limit),
        })),
      putIf: (compares, puts) =>
        written(client, () => {
          assertSpace();
          const holds = compares.every((compare) => {
            const entry = entries.get(compare.key);
            if (!("value" in compare))
              return (entry?.createRevision ?? 0) === compare.createRevision;
            return entry !== undefined && Buffer.compare(entry.value, compare.value) === 0;
          });
          const missing = puts.find(({ lease }) => lease !== undefined && !leases.has(lease));
          if (missing !== undefined)
            throw new HanseError("ETCD_LEASE", "notFound", "no such lease");
          if (holds) write(puts);
          return { revision, succeeded: holds };
        }),
      deleteRange: (key, end) =>
        written(client, () => remove([...entries.keys()].filter((k) => k >= key && k < end))),
      grantLease: (ttlMs) =>
        reached(client, () => {
          const id = String(nextLease++);
          leases.set(id, { client, ttlMs, until: now() + ttlMs });
          return id;
        }),
      keepAlive: (id) =>
        reached(client, () => {
          const lease = leases.get(id);
          if (lease !== undefined) lease.until = now() + lease.ttlMs;
          return lease !== undefined;
        }),
      revokeLease: (id) => reached(client, () => endLease(id)),
      watch(prefix, fromRevision, handlers) {
        const watcher = { prefix, handlers, client };
        if (fromRevision <= compacted) {
          setImmediate(() => handlers.onEnd(true));
          return { cancel() {} };
        }
        const missed = history.filter(
          (h) => h.revision >= fromRevision && h.change.key.startsWith(prefix),
        );
        setImmediate(() => {
          if (missed.length > 0 && watchers.has(watcher)) {
            handlers.onChanges(missed.map(({ change }) => change));
          }
        });
        watchers.add(watcher);
        mine.add(watcher);
        return { cancel: () => void watchers.delete(watcher) };
      },
      compact: (to) =>
        reached(client, () => {
          compacted = Math.max(compacted, to);
        }),
      isOutOfSpace: () => reached(client, () => full),
      reclaimSpace: () =>
        reached(client, () => {
          full = false;
        }),
      close() {
        for (const watcher of mine) watchers.delete(watcher);
      },
    };
  }

  return {
    connect,
    cut(client) {
      cuts.add(client);
    },
    heal(client) {
      cuts.delete(client);
    },
    loseWrites: (client, how, count) => void losses.set(client, { how, count }),
    expire(client) {
      for (const [id, lease] of [...leases]) if (lease.client === client) endLease(id);
    },
    wipe() {
      entries.clear();
      history.length = 0;
      leases.clear();
      revision = 1;
    },
    setOutOfSpace(value) {
      full = value;
    },
    get revision() {
      return revision;
    },
    entries,
    put: (key, value) => write([{ key, value }]),
  };
}
