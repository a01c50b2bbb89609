/**
 * Rights as texts of Needle, read once into data so that the common forms cost no evaluation:
 * `true`, `false`, `ContractAccess(...)`, `RoleAccess(...)`, `HasRole(...)`, `OrgAccess(...)`,
 * `OrgInParam(...)`, `ContractConditions(...)`; everything else is an expression for the language.
 */

export type Right =
  | { readonly kind: "always"; readonly text: string }
  | { readonly kind: "never"; readonly text: string }
  /** Only these contracts may do it; names as written. */
  | { readonly kind: "contractAccess"; readonly text: string; readonly names: readonly string[] }
  | {
      readonly kind: "contractConditions";
      readonly text: string;
      readonly names: readonly string[];
    }
  /** The sender has a role with one of these numbers. */
  | { readonly kind: "roleAccess"; readonly text: string; readonly ids: readonly bigint[] }
  /** The sender has one of these roles, by name. */
  | { readonly kind: "hasRole"; readonly text: string; readonly names: readonly string[] }
  /** The sender's organisation is one of these. */
  | { readonly kind: "orgAccess"; readonly text: string; readonly names: readonly string[] }
  /** The sender's organisation is in a comma list: one of these parameters of the application. */
  | { readonly kind: "orgInParam"; readonly text: string; readonly names: readonly string[] }
  | { readonly kind: "expression"; readonly text: string };

const CALL =
  /^(ContractAccess|ContractConditions|RoleAccess|HasRole|OrgAccess|OrgInParam)\s*\(\s*([^()]*?)\s*\)$/;
const QUOTED = /^"([^"\\]*)"$/;
const NUMBER = /^\d{1,18}$/;

const KIND = {
  ContractAccess: "contractAccess",
  ContractConditions: "contractConditions",
  HasRole: "hasRole",
  OrgAccess: "orgAccess",
  OrgInParam: "orgInParam",
} as const;

/** Never throws: what is none of the short forms is an expression. Empty text means allowed. */
export function parseRight(source: string): Right {
  const text = source.trim();
  if (text === "" || text === "true" || text === "1") return { kind: "always", text };
  if (text === "false" || text === "0") return { kind: "never", text };
  const call = CALL.exec(text);
  if (call === null) return { kind: "expression", text };
  const name = call[1]!;
  const items = call[2]! === "" ? [] : call[2]!.split(",").map((item) => item.trim());
  if (items.length === 0) return { kind: "expression", text };
  if (name === "RoleAccess") {
    if (!items.every((item) => NUMBER.test(item))) return { kind: "expression", text };
    return { kind: "roleAccess", text, ids: items.map((item) => BigInt(item)) };
  }
  const names: string[] = [];
  for (const item of items) {
    const quoted = QUOTED.exec(item);
    if (quoted === null || quoted[1]!.trim() === "") return { kind: "expression", text };
    names.push(quoted[1]!);
  }
  return { kind: KIND[name as keyof typeof KIND], text, names };
}

/**
 * Whether system contracts may save a text as a condition of an object that users edit: only the
 * short forms, so that what a condition does can be read off it.
 */
export function isPlainCondition(text: string): boolean {
  return parseRight(text).kind !== "expression" && text.trim() !== "";
}
