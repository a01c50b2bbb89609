/** What the adapter asks of etcd: the key-value, lease, watch and maintenance calls of its v3 API. */
import type { Bytes } from "@hanse/protocol";

export interface KeyValue {
  readonly key: string;
  readonly value: Bytes;
  /** Revision of the store at which the key came to be. */
  readonly createRevision: number;
  readonly modRevision: number;
}

/** One condition of a transaction; all must hold. */
export type Compare =
  /** 0 = the key does not exist. */
  | { readonly key: string; readonly createRevision: number }
  | { readonly key: string; readonly value: Bytes };

export interface Put {
  readonly key: string;
  readonly value: Bytes;
  /** Lease that takes the key with it when it ends. */
  readonly lease?: string;
}

export interface WatchHandlers {
  /** Changes in order; `value` is undefined when the key was deleted. */
  readonly onChanges: (
    changes: readonly {
      readonly key: string;
      readonly value: Bytes | undefined;
      readonly kv: KeyValue;
    }[],
  ) => void;
  /**
   * The watch is over: `compacted` when the revisions asked for are gone, so that the state must be
   * read anew; otherwise the connection ended and it may be asked for again.
   */
  readonly onEnd: (compacted: boolean) => void;
}

/**
 * Reads are linearizable. A write that fails with kind `unavailable` may still take effect, now or
 * later: read before repeating it.
 * @throws HanseError `ETCD_UNREACHABLE`, `ETCD_TIMEOUT` (unknown outcome), `ETCD_NO_SPACE`,
 * `ETCD_COMPACTED`, `ETCD_REFUSED`, `ETCD_ANSWER`.
 */
export interface EtcdApi {
  /** Keys from `key` up to, not including, `end` (only `key` without it), ascending, at most `limit`. */
  range(request: {
    readonly key: string;
    readonly end?: string;
    readonly limit?: number;
  }): Promise<{ readonly revision: number; readonly kvs: readonly KeyValue[] }>;
  /** Writes all of `puts` if every condition holds, else nothing. */
  putIf(
    compares: readonly Compare[],
    puts: readonly Put[],
  ): Promise<{ readonly revision: number; readonly succeeded: boolean }>;
  deleteRange(key: string, end: string): Promise<void>;
  /** `ttlMs` is rounded up to seconds. */
  grantLease(ttlMs: number): Promise<string>;
  /** False when the lease is over. */
  keepAlive(lease: string): Promise<boolean>;
  revokeLease(lease: string): Promise<void>;
  /** Changes of keys that begin with `prefix`, from a revision (1 or more) on. */
  watch(prefix: string, fromRevision: number, handlers: WatchHandlers): { cancel(): void };
  /** Forgets what keys held before the revision. */
  compact(revision: number): Promise<void>;
  /** Whether etcd refuses writes because its database is full. */
  isOutOfSpace(): Promise<boolean>;
  /** Gives room back on every endpoint, one after the other, then allows writes again. */
  reclaimSpace(): Promise<void>;
  close(): void;
}

/** The first key after all that begin with `prefix`. */
export function endOfPrefix(prefix: string): string {
  const last = prefix.charCodeAt(prefix.length - 1);
  return prefix.slice(0, -1) + String.fromCharCode(last + 1);
}
