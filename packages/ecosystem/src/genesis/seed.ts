/** What a ledger with Needle holds before its first block: ecosystem 1 with its tables and rights. */
import { ADMIN_ROLE, accountText, keyIdOf, NETWORK_ADMIN_ROLE } from "@hanse/identity";
import { compareText, type PublicKey } from "@hanse/protocol";
import type { StateOverlay } from "@hanse/state";
import { INSTALL_PARAMETER } from "../applications/install.ts";
import { columnTypeOf } from "../tables/column-types.ts";
import { insertRow, registerTable } from "../tables/rows.ts";
import { SYSTEM_TABLES, type SystemRight, type SystemTable } from "../tables/system-tables.ts";

/** The part of a genesis document that the ecosystem is made from. */
export interface EcosystemGenesis {
  readonly network: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly accounts: readonly {
    readonly name: string;
    readonly org: string;
    readonly key: PublicKey;
    readonly roles: readonly string[];
  }[];
}

const DEVELOPER = 'ContractConditions("DeveloperCondition")';
const MAIN = 'ContractConditions("@1MainCondition")';

export const MAIN_CONDITION_SOURCE = `contract MainCondition {
    conditions {
        if !HasRole("network-admin") && EcosysParam("founder_account") != Str($key_id) {
            warning "only an administrator of the network or the founder of the ecosystem may do this"
        }
    }
}
`;

export const DEVELOPER_CONDITION_SOURCE = `contract DeveloperCondition {
    conditions {
        if !HasSlice(Str($key_id), Split(EcosysParam("developers"), ",")) {
            ContractConditions("@1MainCondition")
        }
    }
}
`;

/** Parameters an ecosystem starts with; most hold a condition. */
const PARAMETERS: readonly (readonly [name: string, value: string])[] = [
  [INSTALL_PARAMETER, MAIN],
  ["new_table", DEVELOPER],
  ["changing_tables", DEVELOPER],
  ["changing_language", DEVELOPER],
  ["changing_page", DEVELOPER],
  ["changing_menu", DEVELOPER],
  ["changing_contracts", DEVELOPER],
  ["changing_parameters", DEVELOPER],
  ["changing_app_params", DEVELOPER],
  ["changing_snippets", DEVELOPER],
  // Comma list of account numbers.
  ["developers", ""],
  ["max_sum", "1000000"],
  ["min_page_validate_count", "1"],
  ["max_page_validate_count", "6"],
];

function rightText(right: SystemRight): string {
  if (right === "always") return "true";
  if (right === "never") return "false";
  if (right === "developer") return DEVELOPER;
  if (right === "main") return MAIN;
  return `ContractAccess(${right.contracts.map((name) => `"@1${name}"`).join(", ")})`;
}

function createSystemTable(overlay: StateOverlay, table: SystemTable): void {
  overlay.createTable({
    name: `1_${table.name}`,
    columns: [
      { name: "id", type: "int" },
      ...table.columns.map((column) => ({
        name: column.name,
        type: columnTypeOf(column.type, `${table.name}.${column.name}`).state,
      })),
    ],
    indexes: table.indexes,
  });
}

function register(overlay: StateOverlay, table: SystemTable): void {
  registerTable(overlay, {
    name: table.name,
    ecosystem: 1,
    appId: 0n,
    columns: table.columns.map((column) => ({
      name: column.name,
      type: column.type,
      rights: rightText(column.update),
    })),
    indexes: table.indexes,
    permissions: {
      insert: rightText(table.insert),
      update: rightText(table.update),
      new_column: rightText(table.newColumn),
    },
    conditions: MAIN,
  });
}

/**
 * Creates ecosystem 1. The founder is the first account of genesis that administers the network,
 * or else the first that administers an organization. An organization's own role `admin` gives no
 * rights here: applications concern all organizations of the ledger.
 */
export function seedEcosystem(overlay: StateOverlay, genesis: EcosystemGenesis): void {
  for (const table of SYSTEM_TABLES) createSystemTable(overlay, table);
  for (const table of SYSTEM_TABLES) register(overlay, table);
  insertRow(overlay, "1_ecosystems", { name: genesis.network, is_valued: 0n, digits: 12n });
  const withRole = (role: string) =>
    genesis.accounts.find((account) => account.roles.includes(role));
  const founder = withRole(NETWORK_ADMIN_ROLE) ?? withRole(ADMIN_ROLE);
  const parameters = [
    ["founder_account", founder === undefined ? "" : keyIdOf(founder.key).toString()] as const,
    ...PARAMETERS,
  ];
  for (const [name, value] of parameters) {
    insertRow(overlay, "1_parameters", { name, value, conditions: DEVELOPER, ecosystem: 1n });
  }
  for (const [name, source] of [
    ["MainCondition", MAIN_CONDITION_SOURCE],
    ["DeveloperCondition", DEVELOPER_CONDITION_SOURCE],
  ] as const) {
    insertRow(overlay, "1_contracts", {
      name,
      value: source,
      conditions: MAIN,
      wallet_id: 0n,
      token_id: 1n,
      app_id: 0n,
      ecosystem: 1n,
    });
  }
  seedPeople(overlay, genesis);
}

function seedPeople(overlay: StateOverlay, genesis: EcosystemGenesis): void {
  const roles = new Set([ADMIN_ROLE, NETWORK_ADMIN_ROLE]);
  for (const account of genesis.accounts) for (const role of account.roles) roles.add(role);
  for (const role of [...roles].sort(compareText)) {
    insertRow(overlay, "1_roles", {
      role_name: role,
      deleted: 0n,
      role_type: 1n,
      date_created: BigInt(Math.floor(genesis.time / 1000)),
      ecosystem: 1n,
    });
  }
  for (const account of genesis.accounts) {
    insertRow(overlay, "1_members", {
      member_name: account.name,
      account: accountText(keyIdOf(account.key)),
      org: account.org,
      ecosystem: 1n,
    });
  }
}
