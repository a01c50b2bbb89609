export {
  accountText,
  keyIdOf,
  keyIdOfHash,
  parseAccountText,
  rawKeyBytes,
} from "./accounts/key-id.ts";
export { registerNode, replaceNodeKey } from "./registry/nodes.ts";
export {
  addOrganization,
  type NewAccount,
  normalizeRoles,
  ROLES_PER_ACCOUNT_MAX,
  registerAccount,
  renameOrganization,
  replaceAccountKey,
  requireAccount,
  requireNode,
  requireOrganization,
  seedIdentity,
  setAccountRoles,
  setAccountStatus,
  setNodeTls,
  setOrganizationStatus,
} from "./registry/registry.ts";
export { findSigner, resolveSender, senderRows } from "./registry/resolve-sender.ts";
export {
  ADMIN_ROLE,
  NETWORK_ADMIN_ROLE,
  requireAdminOf,
  requireMayGive,
  requireNetworkAdmin,
} from "./registry/rights.ts";
export {
  ACCOUNT_KEYS,
  ACCOUNTS,
  type Account,
  findAccount,
  findAccountByKeyId,
  findAccountByName,
  findNode,
  findOrganization,
  IDENTITY_TABLES,
  listAccounts,
  listNodes,
  listOrganizations,
  NODES,
  ORGANIZATIONS,
  type Organization,
  type RegisteredNode,
  type Status,
} from "./registry/tables.ts";
