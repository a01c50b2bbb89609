/**
 * Transactions that wait for a block. Bounded by count and bytes as a whole, for each organization
 * and for each sender; a transaction leaves only by commit or expiry.
 */
import { HanseError, type Hash } from "@hanse/protocol";
import type { DecodedTransaction } from "../pipeline/interfaces.ts";
import { costOf, fairOrder } from "./fair-order.ts";
import { hashKey } from "./hash-key.ts";

export interface MempoolLimits {
  readonly countMax: number;
  readonly bytesMax: number;
  /** Pending transactions of one sender. */
  readonly perSenderMax: number;
  /** Part of countMax and bytesMax that one organization may fill, above 0 and at most 1. */
  readonly organizationShare: number;
}

export const DEFAULT_MEMPOOL_LIMITS: MempoolLimits = {
  countMax: 20_000,
  bytesMax: 64 * 1024 * 1024,
  perSenderMax: 64,
  organizationShare: 0.5,
};

export interface PoolEntry {
  readonly transaction: DecodedTransaction;
  /** `hashKey` of the id. */
  readonly key: string;
  /** Leaf of the transaction tree: hash of the bytes, signature included. */
  readonly leaf: Hash;
  readonly organization: OrganizationQueue;
  readonly sender: SenderQueue;
  readonly size: number;
  /** Bytes as the fair order counts them. */
  readonly cost: number;
  /** Local clock, milliseconds since 1970. */
  readonly admittedAt: number;
  /** Accepted from a client of this node, so journaled and ours to spread. */
  readonly local: boolean;
  /** Neighbours in the sender's queue. */
  next: PoolEntry | undefined;
  previous: PoolEntry | undefined;
}

export interface SenderQueue {
  readonly key: string;
  first: PoolEntry | undefined;
  last: PoolEntry | undefined;
  count: number;
}

export interface OrganizationQueue {
  readonly id: string;
  readonly senders: Map<string, SenderQueue>;
  count: number;
  bytes: number;
  lastServed: SenderQueue | undefined;
}

/** Which bound a transaction would break. */
export type Fullness = "sender" | "organization" | "pool";

export interface MempoolStats {
  readonly count: number;
  readonly bytes: number;
  readonly organizations: readonly {
    readonly id: string;
    readonly count: number;
    readonly bytes: number;
    readonly senders: number;
    /** Local clock, milliseconds since 1970; how long fairness made somebody wait. */
    readonly oldestAdmittedAt: number;
  }[];
}

export interface Mempool {
  readonly count: number;
  readonly bytes: number;
  readonly limits: MempoolLimits;
  get(key: string): PoolEntry | undefined;
  /** By the hash of the bytes: the same transaction with the same signature. */
  byLeaf(leaf: Hash): PoolEntry | undefined;
  /** The bound that `count` more transactions of `bytes` in all would break. */
  fullness(organization: string, sender: Hash, bytes: number): Fullness | undefined;
  /** Pending of the class whose bound is full, for Retry-After. */
  backlog(of: Fullness, organization: string, sender: Hash): number;
  /** How many share the turn with it: organizations that wait, and senders of this one; at least 1. */
  activity(organization: string): { readonly organizations: number; readonly senders: number };
  /**
   * Puts it at the end of its sender's queue. The caller has checked bounds and duplicates.
   * @throws HanseError `INVARIANT` when the id is there.
   */
  insert(item: {
    readonly transaction: DecodedTransaction;
    readonly leaf: Hash;
    readonly organization: string;
    readonly admittedAt: number;
    readonly local: boolean;
  }): PoolEntry;
  remove(key: string): PoolEntry | undefined;
  /** Removes what no later block may hold: validUntil at or before the last block's time. */
  expire(lastBlockTime: number): readonly PoolEntry[];
  /** In the order in which a block takes them; the pool must not change while it is read. */
  inFairOrder(): Iterable<PoolEntry>;
  entries(): Iterable<PoolEntry>;
  stats(): MempoolStats;
}

/** @throws HanseError `LEDGER_LIMITS` naming the limit that is out of range. */
export function createMempool(limits: MempoolLimits): Mempool {
  for (const name of ["countMax", "bytesMax", "perSenderMax"] as const) {
    if (!Number.isSafeInteger(limits[name]) || limits[name] < 1) {
      throw new HanseError("LEDGER_LIMITS", "rejected", `mempool.${name}: at least 1`);
    }
  }
  if (!(limits.organizationShare > 0 && limits.organizationShare <= 1)) {
    throw new HanseError("LEDGER_LIMITS", "rejected", "mempool.organizationShare: above 0 up to 1");
  }
  const byId = new Map<string, PoolEntry>();
  const leaves = new Map<string, PoolEntry>();
  const organizations = new Map<string, OrganizationQueue>();
  const lastServed: { organization?: OrganizationQueue | undefined } = {};
  const organizationCountMax = Math.max(1, Math.floor(limits.countMax * limits.organizationShare));
  const organizationBytesMax = Math.max(1, Math.floor(limits.bytesMax * limits.organizationShare));
  let bytes = 0;
  /** No pending transaction expires before this time. */
  let earliestExpiry = Number.POSITIVE_INFINITY;

  function unlink(entry: PoolEntry): void {
    const { sender, organization } = entry;
    if (entry.previous === undefined) sender.first = entry.next;
    else entry.previous.next = entry.next;
    if (entry.next === undefined) sender.last = entry.previous;
    else entry.next.previous = entry.previous;
    sender.count--;
    organization.count--;
    organization.bytes -= entry.size;
    bytes -= entry.size;
    byId.delete(entry.key);
    leaves.delete(hashKey(entry.leaf));
    if (sender.count > 0) return;
    organization.senders.delete(sender.key);
    if (organization.senders.size === 0) organizations.delete(organization.id);
  }

  return {
    limits,
    get count() {
      return byId.size;
    },
    get bytes() {
      return bytes;
    },
    get: (key) => byId.get(key),
    byLeaf: (leaf) => leaves.get(hashKey(leaf)),
    fullness(organization, sender, size) {
      const org = organizations.get(organization);
      if (org !== undefined) {
        const own = org.senders.get(hashKey(sender));
        if (own !== undefined && own.count >= limits.perSenderMax) return "sender";
        if (org.count >= organizationCountMax || org.bytes + size > organizationBytesMax) {
          return "organization";
        }
      }
      if (byId.size >= limits.countMax || bytes + size > limits.bytesMax) return "pool";
      return undefined;
    },
    backlog(of, organization, sender) {
      if (of === "pool") return byId.size;
      const org = organizations.get(organization);
      if (of === "organization") return org?.count ?? 0;
      return org?.senders.get(hashKey(sender))?.count ?? 0;
    },
    activity: (organization) => ({
      organizations: Math.max(1, organizations.size),
      senders: Math.max(1, organizations.get(organization)?.senders.size ?? 1),
    }),
    insert({ transaction, leaf, organization, admittedAt, local }) {
      const key = hashKey(transaction.id);
      if (byId.has(key))
        throw new HanseError("INVARIANT", "corrupt", "transaction already pending");
      let org = organizations.get(organization);
      if (org === undefined) {
        org = { id: organization, senders: new Map(), count: 0, bytes: 0, lastServed: undefined };
        organizations.set(organization, org);
      }
      const senderKey = hashKey(transaction.sender);
      let sender = org.senders.get(senderKey);
      if (sender === undefined) {
        sender = { key: senderKey, first: undefined, last: undefined, count: 0 };
        org.senders.set(senderKey, sender);
      }
      const size = transaction.bytes.length;
      const entry: PoolEntry = {
        transaction,
        key,
        leaf,
        organization: org,
        sender,
        size,
        cost: costOf(size),
        admittedAt,
        local,
        next: undefined,
        previous: sender.last,
      };
      if (sender.last === undefined) sender.first = entry;
      else sender.last.next = entry;
      sender.last = entry;
      sender.count++;
      org.count++;
      org.bytes += size;
      bytes += size;
      byId.set(key, entry);
      leaves.set(hashKey(leaf), entry);
      if (transaction.validUntil < earliestExpiry) earliestExpiry = transaction.validUntil;
      return entry;
    },
    remove(key) {
      const entry = byId.get(key);
      if (entry !== undefined) unlink(entry);
      return entry;
    },
    expire(lastBlockTime) {
      if (lastBlockTime < earliestExpiry) return [];
      const expired: PoolEntry[] = [];
      earliestExpiry = Number.POSITIVE_INFINITY;
      for (const entry of byId.values()) {
        const { validUntil } = entry.transaction;
        if (validUntil <= lastBlockTime) expired.push(entry);
        else if (validUntil < earliestExpiry) earliestExpiry = validUntil;
      }
      for (const entry of expired) unlink(entry);
      return expired;
    },
    inFairOrder: () => fairOrder(organizations.values(), lastServed),
    entries: () => byId.values(),
    stats: () => ({
      count: byId.size,
      bytes,
      organizations: [...organizations.values()].map((org) => {
        let oldestAdmittedAt = Number.POSITIVE_INFINITY;
        for (const sender of org.senders.values()) {
          oldestAdmittedAt = Math.min(oldestAdmittedAt, sender.first!.admittedAt);
        }
        return {
          id: org.id,
          count: org.count,
          bytes: org.bytes,
          senders: org.senders.size,
          oldestAdmittedAt,
        };
      }),
    }),
  };
}
