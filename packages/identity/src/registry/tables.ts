/** The registry as tables of the ledger's state, open to proofs, history and SQL readers. */
import {
  type Bytes,
  HanseError,
  type Hash,
  KEY_ALGORITHMS,
  type KeyAlgorithm,
  type PublicKey,
} from "@hanse/protocol";
import type { Row, StateOverlay, StateView, TableSchema } from "@hanse/state";

export const ORGANIZATIONS = "organizations";
export const ACCOUNTS = "accounts";
export const ACCOUNT_KEYS = "account_keys";
export const NODES = "nodes";

export const IDENTITY_TABLES: readonly TableSchema[] = [
  {
    name: ORGANIZATIONS,
    columns: [
      { name: "id", type: "text" },
      { name: "name", type: "text" },
      { name: "status", type: "text" },
    ],
    indexes: [],
  },
  {
    // Keyed by the hash of the account's first key, which stays when the key is replaced.
    name: ACCOUNTS,
    columns: [
      { name: "id", type: "bytes" },
      { name: "key_id", type: "int" },
      { name: "org", type: "text" },
      { name: "name", type: "text" },
      { name: "algorithm", type: "text" },
      { name: "key", type: "bytes" },
      { name: "roles", type: "json" },
      { name: "status", type: "text" },
      // What `roles` says of the two roles that the registry itself knows, to be found by index.
      { name: "is_admin", type: "bool" },
      { name: "is_network_admin", type: "bool" },
    ],
    indexes: ["key_id", "org", "is_admin", "is_network_admin"],
  },
  {
    // Hash of every key that replaced another -> the account.
    name: ACCOUNT_KEYS,
    columns: [
      { name: "key_hash", type: "bytes" },
      { name: "account", type: "bytes" },
    ],
    indexes: ["account"],
  },
  {
    name: NODES,
    columns: [
      { name: "id", type: "text" },
      { name: "org", type: "text" },
      { name: "algorithm", type: "text" },
      { name: "key", type: "bytes" },
      { name: "tls_fingerprint", type: "bytes" },
      { name: "status", type: "text" },
      // host:port for the others to dial; null where their configuration says it.
      { name: "address", type: "text" },
    ],
    indexes: ["org"],
  },
];

export type Status = "active" | "suspended";

export interface Organization {
  readonly id: string;
  readonly name: string;
  readonly status: Status;
}

export interface Account {
  /** 32 bytes. */
  readonly id: Hash;
  readonly keyId: bigint;
  readonly org: string;
  readonly name: string;
  readonly key: PublicKey;
  readonly roles: readonly string[];
  readonly status: Status;
}

export interface RegisteredNode {
  readonly id: string;
  readonly org: string;
  readonly key: PublicKey;
  readonly tlsFingerprint: Bytes;
  readonly status: Status;
  /** `host:port` for the others to dial; undefined where their configuration says it. */
  readonly address?: string;
}

function broken(table: string): never {
  throw new HanseError("IDENTITY_TABLE", "corrupt", `a row of ${table} is not as it was written`);
}

function statusOf(value: unknown, table: string): Status {
  return value === "active" || value === "suspended" ? value : broken(table);
}

function keyOf(algorithm: unknown, bytes: unknown, table: string): PublicKey {
  if (typeof algorithm !== "string" || !(algorithm in KEY_ALGORITHMS)) broken(table);
  return { algorithm: algorithm as KeyAlgorithm, bytes: bytes as Bytes };
}

// A row is never mutated, so what was read from it holds as long as the row does.
const readAccounts = new WeakMap<Row, Account>();

export function accountFromRow(row: Row): Account {
  let account = readAccounts.get(row);
  if (account !== undefined) return account;
  const [id, keyId, org, name, algorithm, key, roles, status] = row.values;
  account = {
    id: id as Hash,
    keyId: keyId as bigint,
    org: org as string,
    name: name as string,
    key: keyOf(algorithm, key, ACCOUNTS),
    roles: JSON.parse(roles as string) as string[],
    status: statusOf(status, ACCOUNTS),
  };
  readAccounts.set(row, account);
  return account;
}

export function organizationFromRow(row: Row): Organization {
  const [id, name, status] = row.values;
  return { id: id as string, name: name as string, status: statusOf(status, ORGANIZATIONS) };
}

export function nodeFromRow(row: Row): RegisteredNode {
  const [id, org, algorithm, key, fingerprint, status, address] = row.values;
  return {
    id: id as string,
    org: org as string,
    key: keyOf(algorithm, key, NODES),
    tlsFingerprint: fingerprint as Bytes,
    status: statusOf(status, NODES),
    ...(address === null ? {} : { address: address as string }),
  };
}

export function findOrganization(view: StateView, id: string): Organization | undefined {
  const row = view.getRow(ORGANIZATIONS, id);
  return row && organizationFromRow(row);
}

/** By account id. */
export function findAccount(view: StateView, id: Hash): Account | undefined {
  const row = view.getRow(ACCOUNTS, id);
  return row && accountFromRow(row);
}

/** By the signed 64-bit number. */
export function findAccountByKeyId(view: StateView, keyId: bigint): Account | undefined {
  const where = { op: "eq", column: "key_id", value: keyId } as const;
  const row = view.find({ table: ACCOUNTS, where, limit: 1 })[0];
  return row && accountFromRow(row);
}

/** By organization and name. */
export function findAccountByName(view: StateView, org: string, name: string): Account | undefined {
  const where = {
    op: "and",
    of: [
      { op: "eq", column: "org", value: org },
      { op: "eq", column: "name", value: name },
    ],
  } as const;
  const row = view.find({ table: ACCOUNTS, where, limit: 1 })[0];
  return row && accountFromRow(row);
}

export function listOrganizations(view: StateView, limit: number): Organization[] {
  return view.find({ table: ORGANIZATIONS, limit }).map(organizationFromRow);
}

export function listAccounts(
  view: StateView,
  page: { readonly org?: string; readonly limit: number; readonly offset?: number },
): Account[] {
  const where =
    page.org === undefined ? {} : { where: { op: "eq", column: "org", value: page.org } as const };
  const order = [{ column: "org" }, { column: "name" }];
  const { limit, offset = 0 } = page;
  return view.find({ table: ACCOUNTS, ...where, order, limit, offset }).map(accountFromRow);
}

export function findNode(view: StateView, id: string): RegisteredNode | undefined {
  const row = view.getRow(NODES, id);
  return row && nodeFromRow(row);
}

export function listNodes(view: StateView, limit: number): RegisteredNode[] {
  return view.find({ table: NODES, limit }).map(nodeFromRow);
}

export function createIdentityTables(overlay: StateOverlay): void {
  for (const schema of IDENTITY_TABLES) overlay.createTable(schema);
}
