/** Module `registry`: who belongs to the network, kept by the organizations themselves. */
import {
  type Account,
  ADMIN_ROLE,
  accountText,
  addOrganization,
  findAccount,
  findAccountByName,
  findOrganization,
  listAccounts,
  listNodes,
  listOrganizations,
  registerAccount,
  registerNode,
  renameOrganization,
  replaceAccountKey,
  requireAccount,
  requireAdminOf,
  requireMayGive,
  requireNetworkAdmin,
  requireNode,
  requireOrganization,
  setAccountRoles,
  setAccountStatus,
  setNodeTls,
  setOrganizationStatus,
} from "@hanse/identity";
import type { Sender } from "@hanse/ledger";
import { equalBytes, fromHex, HanseError, publicKeyToText, toHex } from "@hanse/protocol";
import type { StateView } from "@hanse/state";
import { bytes, optional, publicKey, text, texts } from "../engine/arguments.ts";
import { inputCount, inputText } from "../engine/inputs.ts";
import { defineAction, type NativeModule, type PlainValue } from "../engine/native-engine.ts";

const NAME_MAX = 200;
const ORG_MAX = 63;
const NODE_ID_MAX = 127;
const ROLES_MAX = 64;
const ROLE_MAX = 63;
/** Entries of one page of a query. */
const PAGE_MAX = 1_000;

const FUEL_WRITE = 2_000;
const accountId = () => bytes(32, 32);

/** An account as results, events and queries show it. */
function describeAccount(account: Account): { [name: string]: PlainValue } {
  return {
    id: toHex(account.id),
    number: account.keyId.toString(),
    account: accountText(account.keyId),
    org: account.org,
    name: account.name,
    key: publicKeyToText(account.key),
    roles: account.roles,
    status: account.status,
  };
}

/** The sender administers the organization of this account. */
function checkAdminOfAccount(id: Uint8Array, sender: Sender, state: StateView): Account {
  const account = requireAccount(state, id);
  requireAdminOf(sender, account.org);
  return account;
}

const accountRegister = defineAction({
  fields: {
    name: text(NAME_MAX),
    key: publicKey(),
    roles: texts(ROLES_MAX, ROLE_MAX),
    org: optional(text(ORG_MAX)),
  },
  fuel: FUEL_WRITE,
  check({ org, roles }, sender, state) {
    requireAdminOf(sender, org ?? sender.org);
    requireMayGive(sender, [], roles);
    requireOrganization(state, org ?? sender.org);
  },
  run({ org, name, key, roles }, { sender, state, emit }) {
    const account = registerAccount(state, { org: org ?? sender.org, name, key, roles });
    const shown = describeAccount(account);
    emit("account.registered", shown);
    return shown;
  },
});

const accountSuspend = defineAction({
  fields: { account: accountId(), reason: optional(text(NAME_MAX)) },
  fuel: FUEL_WRITE,
  check({ account }, sender, state) {
    checkAdminOfAccount(account, sender, state);
  },
  run({ account, reason = "" }, { state, emit }) {
    const { org, name } = setAccountStatus(state, account, "suspended");
    emit("account.suspended", { id: toHex(account), org, name, reason });
    return null;
  },
});

const accountResume = defineAction({
  fields: { account: accountId() },
  fuel: FUEL_WRITE,
  check({ account }, sender, state) {
    checkAdminOfAccount(account, sender, state);
  },
  run({ account }, { state, emit }) {
    const { org, name } = setAccountStatus(state, account, "active");
    emit("account.resumed", { id: toHex(account), org, name });
    return null;
  },
});

const accountSetRoles = defineAction({
  fields: { account: accountId(), roles: texts(ROLES_MAX, ROLE_MAX) },
  fuel: FUEL_WRITE,
  check({ account, roles }, sender, state) {
    const { roles: before } = checkAdminOfAccount(account, sender, state);
    requireMayGive(sender, before, roles);
  },
  run(args, { state, emit }) {
    const { id, org, name, roles } = setAccountRoles(state, args.account, args.roles);
    emit("account.rolesSet", { id: toHex(id), org, name, roles });
    return null;
  },
});

const accountRotateKey = defineAction({
  fields: { account: optional(accountId()), key: publicKey() },
  fuel: FUEL_WRITE,
  check({ account }, sender, state) {
    // Everybody replaces the own key; an administrator the lost one of another.
    if (account === undefined || equalBytes(account, sender.accountId)) return;
    checkAdminOfAccount(account, sender, state);
    const { roles } = requireAccount(state, account);
    requireMayGive(sender, roles, []);
  },
  run({ account, key }, { sender, state, emit }) {
    const { id, org, name } = replaceAccountKey(state, account ?? sender.accountId, key);
    emit("account.keyRotated", { id: toHex(id), org, name, key: publicKeyToText(key) });
    return null;
  },
});

const orgAdd = defineAction({
  fields: {
    id: text(ORG_MAX),
    name: text(NAME_MAX),
    adminName: text(NAME_MAX),
    adminKey: publicKey(),
  },
  fuel: 2 * FUEL_WRITE,
  check(_args, sender) {
    requireNetworkAdmin(sender);
  },
  run({ id, name, adminName, adminKey }, { state, emit }) {
    addOrganization(state, { id, name });
    const admin = registerAccount(state, {
      org: id,
      name: adminName,
      key: adminKey,
      roles: [ADMIN_ROLE],
    });
    const shown = { id, name, admin: describeAccount(admin) };
    emit("org.added", shown);
    return shown;
  },
});

const orgUpdate = defineAction({
  fields: { name: text(NAME_MAX) },
  fuel: FUEL_WRITE,
  check(_args, sender) {
    requireAdminOf(sender, sender.org);
  },
  run({ name }, { sender, state, emit }) {
    renameOrganization(state, sender.org, name);
    emit("org.updated", { id: sender.org, name });
    return null;
  },
});

const orgSuspend = defineAction({
  fields: { id: text(ORG_MAX), reason: optional(text(NAME_MAX)) },
  fuel: FUEL_WRITE,
  check({ id }, sender, state) {
    requireNetworkAdmin(sender);
    requireOrganization(state, id);
    if (id === sender.org) {
      throw new HanseError("IDENTITY_DENIED", "denied", "id: nobody suspends the own organization");
    }
  },
  run({ id, reason = "" }, { state, emit }) {
    setOrganizationStatus(state, id, "suspended");
    emit("org.suspended", { id, reason });
    return null;
  },
});

const orgResume = defineAction({
  fields: { id: text(ORG_MAX) },
  fuel: FUEL_WRITE,
  check({ id }, sender, state) {
    requireNetworkAdmin(sender);
    requireOrganization(state, id);
  },
  run({ id }, { state, emit }) {
    setOrganizationStatus(state, id, "active");
    emit("org.resumed", { id });
    return null;
  },
});

const nodeRegister = defineAction({
  fields: {
    id: text(NODE_ID_MAX),
    key: publicKey(),
    tlsFingerprint: bytes(32, 32),
    address: optional(text(NAME_MAX)),
  },
  fuel: FUEL_WRITE,
  check(_args, sender) {
    requireAdminOf(sender, sender.org);
  },
  run({ id, key, tlsFingerprint, address }, { sender, state, emit }) {
    const { org } = registerNode(state, {
      ...{ id, org: sender.org, key, tlsFingerprint },
      ...(address === undefined ? {} : { address }),
    });
    const shown = { id, org, key: publicKeyToText(key), tlsFingerprint: toHex(tlsFingerprint) };
    emit("node.registered", shown);
    return shown;
  },
});

const nodeSetTls = defineAction({
  fields: { node: text(NODE_ID_MAX), tlsFingerprint: bytes(32, 32) },
  fuel: FUEL_WRITE,
  check({ node }, sender, state) {
    requireAdminOf(sender, requireNode(state, node).org);
  },
  run({ node, tlsFingerprint }, { state, emit }) {
    const { id, org } = setNodeTls(state, node, tlsFingerprint);
    emit("node.tlsSet", { id, org, tlsFingerprint: toHex(tlsFingerprint) });
    return null;
  },
});

export function createRegistryModule(): NativeModule {
  return {
    name: "registry",
    actions: {
      "account.register": accountRegister,
      "account.suspend": accountSuspend,
      "account.resume": accountResume,
      "account.setRoles": accountSetRoles,
      "account.rotateKey": accountRotateKey,
      "org.add": orgAdd,
      "org.update": orgUpdate,
      "org.suspend": orgSuspend,
      "org.resume": orgResume,
      "node.register": nodeRegister,
      "node.setTls": nodeSetTls,
    },
    queries: {
      /** `{id}` (hex) or `{org, name}`. */
      account(input, _caller, state) {
        const id = inputText(input, "id");
        const account =
          id === undefined
            ? findAccountByName(
                state,
                inputText(input, "org") ?? "",
                inputText(input, "name") ?? "",
              )
            : findAccount(state, fromHex(id));
        return account === undefined ? null : describeAccount(account);
      },
      /** `{org?, limit?, offset?}`, by organization and name. */
      accounts(input, _caller, state) {
        const org = inputText(input, "org");
        const limit = Math.max(1, inputCount(input, "limit", 100, PAGE_MAX));
        const offset = inputCount(input, "offset", 0, 1_000_000);
        const page = { limit, offset, ...(org === undefined ? {} : { org }) };
        return listAccounts(state, page).map(describeAccount);
      },
      /** `{id}` */
      organization: (input, _caller, state) =>
        findOrganization(state, inputText(input, "id") ?? "") ?? null,
      organizations: (_input, _caller, state) => listOrganizations(state, PAGE_MAX),
      nodes: (_input, _caller, state) =>
        listNodes(state, PAGE_MAX).map(({ id, org, key, tlsFingerprint, status }) => ({
          id,
          org,
          key: publicKeyToText(key),
          tlsFingerprint: toHex(tlsFingerprint),
          status,
        })),
    },
  };
}
