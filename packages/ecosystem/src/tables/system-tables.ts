/**
 * The tables every ledger that runs Needle has from its first block. Each has `id` first; shared
 * ones have `ecosystem`. Rights name the contracts that may write (`contracts`), or one of the two
 * condition contracts of ecosystem 1; a column that is not named is writable by nobody.
 */

export type SystemRight =
  | "always"
  | "never"
  /** `ContractConditions("DeveloperCondition")` of the current ecosystem. */
  | "developer"
  /** `ContractConditions("@1MainCondition")`. */
  | "main"
  | { readonly contracts: readonly string[] };

export interface SystemColumn {
  readonly name: string;
  /** A name of COLUMN_TYPES. */
  readonly type: string;
  readonly update: SystemRight;
}

export interface SystemTable {
  /** Without prefix. */
  readonly name: string;
  readonly columns: readonly SystemColumn[];
  readonly indexes: readonly string[];
  readonly insert: SystemRight;
  readonly update: SystemRight;
  readonly newColumn: SystemRight;
}

const only = (...contracts: string[]): SystemRight => ({ contracts });

/** `name:type` or `name:type=right`, right a key of `rights`. */
function columns(
  text: string,
  rights: Readonly<Record<string, SystemRight>> = {},
): readonly SystemColumn[] {
  return text
    .trim()
    .split(/\s+/)
    .map((item) => {
      const [name, type] = item.split(":");
      return { name: name!, type: type!, update: rights[name!] ?? "never" };
    });
}

/** Columns that texts of the ecosystem share: who may change the row, which ecosystem it is of. */
const COMMON = "conditions:text permissions:json";

const NEW_TEXT = { insert: "developer", update: "developer", newColumn: "main" } as const;

export const SYSTEM_TABLES: readonly SystemTable[] = [
  {
    name: "ecosystems",
    columns: columns(
      "name:varchar info:json fee_mode_info:json is_valued:number emission_amount:json token_symbol:varchar token_name:varchar type_emission:number type_withdraw:number control_mode:number digits:number",
      { name: only("EditEcosystemName"), info: "main" },
    ),
    indexes: [],
    insert: only("NewEcosystem"),
    update: only("EditEcosystemName"),
    newColumn: "main",
  },
  {
    name: "contracts",
    columns: columns(
      `name:varchar value:text wallet_id:number token_id:number ${COMMON} app_id:number ecosystem:number`,
      {
        value: only("EditContract"),
        token_id: only("EditContract"),
        conditions: only("EditContract"),
        wallet_id: only("BindWallet", "UnbindWallet"),
        permissions: "main",
        app_id: only("ItemChangeAppId"),
      },
    ),
    indexes: ["name"],
    ...NEW_TEXT,
  },
  {
    name: "tables",
    columns: columns(
      "name:varchar permissions:json columns:json types:json conditions:text app_id:number ecosystem:number",
      { permissions: only("EditTable"), columns: only("EditColumn", "NewColumn") },
    ),
    indexes: ["name"],
    insert: only("NewTable", "NewTableJoint"),
    update: only("EditTable", "EditColumn", "NewColumn"),
    newColumn: "main",
  },
  {
    name: "applications",
    columns: columns(
      "name:varchar title:varchar version:varchar package_hash:bytea installed_by:number installed_at:datetime conditions:text deleted:number ecosystem:number",
      { conditions: only("EditApplication"), deleted: only("DelApplication") },
    ),
    indexes: ["name"],
    ...NEW_TEXT,
  },
  {
    name: "parameters",
    columns: columns(`name:varchar value:text ${COMMON} ecosystem:number`, {
      value: only("EditParameter"),
      conditions: only("EditParameter"),
      permissions: "main",
    }),
    indexes: ["name"],
    insert: "developer",
    update: only("EditParameter"),
    newColumn: "main",
  },
  {
    name: "app_params",
    columns: columns(`app_id:number name:varchar value:text ${COMMON} ecosystem:number`, {
      value: only("EditAppParam"),
      conditions: only("EditAppParam"),
      app_id: only("ItemChangeAppId"),
      permissions: "main",
    }),
    indexes: ["name"],
    insert: "developer",
    update: only("EditAppParam"),
    newColumn: "main",
  },
  {
    name: "pages",
    columns: columns(
      `name:varchar value:text menu:varchar validate_count:number validate_mode:character ${COMMON} app_id:number ecosystem:number`,
      {
        value: only("EditPage", "AppendPage"),
        menu: only("EditPage"),
        validate_count: only("EditPage"),
        validate_mode: only("EditPage"),
        conditions: only("EditPage"),
        app_id: only("ItemChangeAppId"),
        permissions: "main",
      },
    ),
    indexes: ["name"],
    ...NEW_TEXT,
  },
  {
    name: "menu",
    columns: columns(`name:varchar title:varchar value:text ${COMMON} ecosystem:number`, {
      value: only("EditMenu", "AppendMenu"),
      title: only("EditMenu"),
      conditions: only("EditMenu"),
      permissions: "main",
    }),
    indexes: ["name"],
    ...NEW_TEXT,
  },
  {
    name: "snippets",
    columns: columns(`name:varchar value:text ${COMMON} app_id:number ecosystem:number`, {
      value: only("EditSnippet"),
      conditions: only("EditSnippet"),
      app_id: only("ItemChangeAppId"),
      permissions: "main",
    }),
    indexes: ["name"],
    ...NEW_TEXT,
  },
  {
    name: "languages",
    columns: columns(`name:varchar res:text ${COMMON} ecosystem:number`, {
      name: only("EditLang"),
      res: only("EditLang"),
      conditions: only("EditLang"),
      permissions: "main",
    }),
    indexes: ["name"],
    ...NEW_TEXT,
  },
  {
    name: "members",
    columns: columns(
      "member_name:varchar image_id:number member_info:json account:varchar org:varchar ecosystem:number",
      { image_id: only("ProfileEdit"), member_info: only("ProfileEdit") },
    ),
    indexes: ["account"],
    insert: only("ProfileEdit"),
    update: only("ProfileEdit"),
    newColumn: "main",
  },
  {
    name: "roles",
    columns: columns(
      "default_page:varchar role_name:varchar deleted:number role_type:number creator:json date_created:number date_deleted:number company_id:number roles_access:json image_id:number ecosystem:number",
      {
        deleted: only("RolesDelete"),
        date_deleted: only("RolesDelete"),
        roles_access: only("RolesAccessManager"),
      },
    ),
    indexes: ["role_name"],
    insert: only("RolesCreate", "RolesInstall"),
    update: only("RolesAccessManager", "RolesDelete"),
    newColumn: "main",
  },
  {
    name: "roles_participants",
    columns: columns(
      "role:json member:json appointed:json date_created:number date_deleted:number deleted:number ecosystem:number",
      { deleted: only("RolesUnassign"), date_deleted: only("RolesUnassign") },
    ),
    indexes: [],
    insert: only("RolesAssign", "VotingDecisionCheck", "RolesInstall"),
    update: only("RolesUnassign"),
    newColumn: "main",
  },
  {
    name: "binaries",
    columns: columns(
      "app_id:number name:varchar data:bytea hash:varchar mime_type:varchar account:varchar ecosystem:number",
      {
        hash: only("UploadBinary"),
        data: only("UploadBinary"),
        mime_type: only("UploadBinary"),
      },
    ),
    indexes: ["account"],
    insert: only("UploadBinary"),
    update: only("UploadBinary"),
    newColumn: "main",
  },
  {
    name: "buffer_data",
    columns: columns("key:varchar value:json account:varchar ecosystem:number", {
      value: "always",
    }),
    indexes: ["account"],
    insert: "always",
    update: "always",
    newColumn: "main",
  },
];

/** Tables whose rows decide what contracts do: a change of one starts a new catalog version. */
export const CATALOG_TABLES: ReadonlySet<string> = new Set([
  "1_ecosystems",
  "1_contracts",
  "1_tables",
  "1_applications",
  "1_parameters",
  "1_app_params",
  "1_languages",
  "1_roles",
  "1_roles_participants",
]);
