/** Changes of the registry. Rights are the caller's to check; the registry's own rules hold here. */
import {
  accountIdOf,
  type GenesisDocument,
  HanseError,
  type Hash,
  PUBLIC_KEY_BYTES,
  type PublicKey,
} from "@hanse/protocol";
import { canonicalJson, type StateOverlay, type StateView } from "@hanse/state";
import { accountText, keyIdOf } from "../accounts/key-id.ts";
import { ADMIN_ROLE, NETWORK_ADMIN_ROLE } from "./rights.ts";
import {
  ACCOUNT_KEYS,
  ACCOUNTS,
  type Account,
  createIdentityTables,
  findAccount,
  findAccountByKeyId,
  findAccountByName,
  findNode,
  findOrganization,
  NODES,
  ORGANIZATIONS,
  type Organization,
  type RegisteredNode,
  type Status,
} from "./tables.ts";

export const ROLES_PER_ACCOUNT_MAX = 64;
const ORGANIZATION_ID = /^[a-z][a-z0-9-]{0,62}$/;
const ROLE = /^[a-z][a-z0-9_.:-]{0,62}$/;

function refuse(code: string, message: string): never {
  throw new HanseError(code, "conflict", message);
}

function invalid(field: string, expected: string): never {
  throw new HanseError("IDENTITY_INVALID", "rejected", `${field}: ${expected}`, {
    details: { field },
  });
}

function requireTitle(field: string, text: string, lengthMax: number): void {
  if (text.length === 0 || text.length > lengthMax || !text.isWellFormed()) {
    invalid(field, `expected 1 to ${lengthMax} characters`);
  }
  if (text.trim() !== text || /\p{Cc}/u.test(text)) {
    invalid(field, "no control characters and no space at its ends");
  }
}

/** Sorted, without repeats. @throws HanseError `IDENTITY_INVALID` naming the role. */
export function normalizeRoles(roles: readonly string[]): string[] {
  if (roles.length > ROLES_PER_ACCOUNT_MAX) invalid("roles", `at most ${ROLES_PER_ACCOUNT_MAX}`);
  for (const role of roles) {
    if (!ROLE.test(role)) {
      invalid("roles", `"${role.slice(0, 80)}" is not a name like ${ROLE.source.slice(1, -1)}`);
    }
  }
  return [...new Set(roles)].sort();
}

function requireFreshKey(view: StateView, key: PublicKey): Hash {
  if (key.bytes.length !== PUBLIC_KEY_BYTES[key.algorithm]) {
    invalid("key", `expected ${PUBLIC_KEY_BYTES[key.algorithm]} bytes for ${key.algorithm}`);
  }
  const hash = accountIdOf(key);
  if (view.getRow(ACCOUNTS, hash) !== undefined || view.getRow(ACCOUNT_KEYS, hash) !== undefined) {
    refuse("IDENTITY_KEY_USED", "key: it is, or was, the key of an account: make a new one");
  }
  return hash;
}

export interface NewAccount {
  readonly org: string;
  readonly name: string;
  readonly key: PublicKey;
  readonly roles: readonly string[];
}

/**
 * @throws HanseError `IDENTITY_INVALID`, `IDENTITY_NO_ORGANIZATION`, `IDENTITY_NAME_USED`,
 * `IDENTITY_KEY_USED`, `IDENTITY_KEY` or `IDENTITY_KEY_ID_USED`.
 */
export function registerAccount(overlay: StateOverlay, account: NewAccount): Account {
  const { org, name, key } = account;
  requireTitle("name", name, 100);
  const roles = normalizeRoles(account.roles);
  if (findOrganization(overlay, org) === undefined) {
    throw new HanseError(
      "IDENTITY_NO_ORGANIZATION",
      "notFound",
      `org: there is no organization ${org}`,
    );
  }
  const id = requireFreshKey(overlay, key);
  if (findAccountByName(overlay, org, name) !== undefined) {
    refuse("IDENTITY_NAME_USED", `name: ${org} has an account "${name}" already`);
  }
  const keyId = keyIdOf(key);
  if (findAccountByKeyId(overlay, keyId) !== undefined) {
    refuse(
      "IDENTITY_KEY_ID_USED",
      `key: its account number ${accountText(keyId)} belongs to another key: make a new one`,
    );
  }
  const columns = roleColumns(roles);
  overlay.insert(ACCOUNTS, [
    id,
    keyId,
    org,
    name,
    key.algorithm,
    key.bytes,
    columns.roles,
    "active",
    columns.is_admin,
    columns.is_network_admin,
  ]);
  return { id, keyId, org, name, key, roles, status: "active" };
}

/** The columns that a list of roles fills. */
function roleColumns(roles: readonly string[]) {
  return {
    roles: canonicalJson(JSON.stringify(roles)),
    is_admin: roles.includes(ADMIN_ROLE),
    is_network_admin: roles.includes(NETWORK_ADMIN_ROLE),
  };
}

/** @throws HanseError `IDENTITY_NO_ACCOUNT` */
export function requireAccount(view: StateView, id: Hash): Account {
  const account = findAccount(view, id);
  if (account === undefined) {
    throw new HanseError("IDENTITY_NO_ACCOUNT", "notFound", "account: no account has this id");
  }
  return account;
}

/** Whether another active account of the organization (or of any, for the network) has the role. */
function anotherHas(view: StateView, role: string, except: Account): boolean {
  const holds =
    role === NETWORK_ADMIN_ROLE
      ? [{ op: "eq", column: "is_network_admin", value: true } as const]
      : [
          { op: "eq", column: "is_admin", value: true } as const,
          { op: "eq", column: "org", value: except.org } as const,
        ];
  const where = {
    op: "and",
    of: [
      ...holds,
      { op: "eq", column: "status", value: "active" },
      { op: "ne", column: "id", value: except.id },
    ],
  } as const;
  return view.find({ table: ACCOUNTS, where, limit: 1 }).length > 0;
}

/** Nobody locks an organization or the network out of its own registry. */
function requireNotLast(view: StateView, account: Account, rolesAfter: readonly string[]): void {
  if (account.status !== "active") return;
  for (const role of [ADMIN_ROLE, NETWORK_ADMIN_ROLE]) {
    if (!account.roles.includes(role) || rolesAfter.includes(role)) continue;
    if (anotherHas(view, role, account)) continue;
    const whose = role === ADMIN_ROLE ? account.org : "the network";
    refuse(
      "IDENTITY_LAST_ADMIN",
      `account: ${account.name} is the last active account of ${whose} with the role "${role}": give it to another first`,
    );
  }
}

/** @throws HanseError `IDENTITY_NO_ACCOUNT`, `IDENTITY_LAST_ADMIN`, `IDENTITY_STATUS` */
export function setAccountStatus(overlay: StateOverlay, id: Hash, status: Status): Account {
  const account = requireAccount(overlay, id);
  if (account.status === status) refuse("IDENTITY_STATUS", `account: it is ${status} already`);
  if (status === "suspended") requireNotLast(overlay, account, []);
  overlay.update(ACCOUNTS, id, { status });
  return { ...account, status };
}

/** @throws HanseError `IDENTITY_NO_ACCOUNT`, `IDENTITY_LAST_ADMIN`, `IDENTITY_INVALID` */
export function setAccountRoles(overlay: StateOverlay, id: Hash, list: readonly string[]): Account {
  const account = requireAccount(overlay, id);
  const roles = normalizeRoles(list);
  requireNotLast(overlay, account, roles);
  overlay.update(ACCOUNTS, id, roleColumns(roles));
  return { ...account, roles };
}

/**
 * Another key for the same account; its id and number stay, the old key is never valid again.
 * @throws HanseError `IDENTITY_NO_ACCOUNT`, `IDENTITY_KEY_USED`, `IDENTITY_INVALID`
 */
export function replaceAccountKey(overlay: StateOverlay, id: Hash, key: PublicKey): Account {
  const account = requireAccount(overlay, id);
  const hash = requireFreshKey(overlay, key);
  overlay.insert(ACCOUNT_KEYS, [hash, id]);
  overlay.update(ACCOUNTS, id, { algorithm: key.algorithm, key: key.bytes });
  return { ...account, key };
}

/** @throws HanseError `IDENTITY_INVALID`, `IDENTITY_ORGANIZATION_USED` */
export function addOrganization(
  overlay: StateOverlay,
  organization: Pick<Organization, "id" | "name">,
): void {
  const { id, name } = organization;
  if (!ORGANIZATION_ID.test(id)) {
    invalid("id", `expected a name like ${ORGANIZATION_ID.source.slice(1, -1)}`);
  }
  requireTitle("name", name, 200);
  if (findOrganization(overlay, id) !== undefined) {
    refuse("IDENTITY_ORGANIZATION_USED", `id: there is an organization ${id} already`);
  }
  overlay.insert(ORGANIZATIONS, [id, name, "active"]);
}

/** @throws HanseError `IDENTITY_NO_ORGANIZATION` */
export function requireOrganization(view: StateView, id: string): Organization {
  const organization = findOrganization(view, id);
  if (organization === undefined) {
    throw new HanseError(
      "IDENTITY_NO_ORGANIZATION",
      "notFound",
      `org: there is no organization ${id}`,
    );
  }
  return organization;
}

/** @throws HanseError `IDENTITY_NO_ORGANIZATION`, `IDENTITY_INVALID` */
export function renameOrganization(overlay: StateOverlay, id: string, name: string): void {
  requireOrganization(overlay, id);
  requireTitle("name", name, 200);
  overlay.update(ORGANIZATIONS, id, { name });
}

/** @throws HanseError `IDENTITY_NO_ORGANIZATION`, `IDENTITY_STATUS` */
export function setOrganizationStatus(overlay: StateOverlay, id: string, status: Status): void {
  const organization = requireOrganization(overlay, id);
  if (organization.status === status) refuse("IDENTITY_STATUS", `org: it is ${status} already`);
  overlay.update(ORGANIZATIONS, id, { status });
}

/** @throws HanseError `IDENTITY_NO_NODE` */
export function requireNode(view: StateView, id: string): RegisteredNode {
  const node = findNode(view, id);
  if (node === undefined) {
    throw new HanseError("IDENTITY_NO_NODE", "notFound", `node: there is no node ${id}`);
  }
  return node;
}

/**
 * Another TLS key for a node, by its fingerprint; other nodes take the one before for a while.
 * @throws HanseError `IDENTITY_NO_NODE`, `IDENTITY_INVALID`, `IDENTITY_KEY_USED`
 */
export function setNodeTls(overlay: StateOverlay, id: string, fingerprint: Hash): RegisteredNode {
  const node = requireNode(overlay, id);
  if (fingerprint.length !== 32) invalid("tlsFingerprint", "expected 32 bytes");
  const where = { op: "eq", column: "tls_fingerprint", value: fingerprint } as const;
  if (overlay.find({ table: NODES, where, limit: 1 }).length > 0) {
    refuse("IDENTITY_KEY_USED", "tlsFingerprint: a node has this key already: make a new one");
  }
  overlay.update(NODES, id, { tls_fingerprint: fingerprint });
  return { ...node, tlsFingerprint: fingerprint };
}

/** Writes the registry of height 0 from the genesis document. */
export function seedIdentity(overlay: StateOverlay, genesis: GenesisDocument): void {
  createIdentityTables(overlay);
  for (const organization of genesis.organizations) addOrganization(overlay, organization);
  for (const account of genesis.accounts) registerAccount(overlay, account);
  for (const { id, org, key, tlsFingerprint } of genesis.nodes) {
    overlay.insert(NODES, [id, org, key.algorithm, key.bytes, tlsFingerprint, "active", null]);
  }
}
