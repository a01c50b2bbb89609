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
  /** The sender's organization is one of these. */
  | { readonly kind: "orgAccess"; readonly text: string; readonly names: readonly string[] }
  /** The sender's organization is in a comma list: one of these parameters of the application. */
  | { readonly kind: "orgInParam"; readonly text: string; readonly names: readonly string[] }
  /** Short forms without ContractConditions joined by `&&`, by `||`, or behind `!`. */
  | { readonly kind: "all" | "any"; readonly text: string; readonly of: readonly Right[] }
  | { readonly kind: "not"; readonly text: string; readonly of: Right }
  | { readonly kind: "expression"; readonly text: string };

/** Parts of one condition made of short forms; beyond it is an expression. */
export const RIGHT_PARTS_MAX = 64;

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

/** Never throws: what is not made of the short forms is an expression. Empty text: allowed. */
export function parseRight(source: string): Right {
  const text = source.trim();
  return parseForm(text) ?? parseCombination(text) ?? { kind: "expression", text };
}

function parseForm(text: string): Right | undefined {
  if (text === "" || text === "true" || text === "1") return { kind: "always", text };
  if (text === "false" || text === "0") return { kind: "never", text };
  const call = CALL.exec(text);
  if (call === null || call[2] === "") return undefined;
  const name = call[1]!;
  const items = call[2]!.split(",").map((item) => item.trim());
  if (name === "RoleAccess") {
    if (!items.every((item) => NUMBER.test(item))) return undefined;
    return { kind: "roleAccess", text, ids: items.map((item) => BigInt(item)) };
  }
  const names: string[] = [];
  for (const item of items) {
    const quoted = QUOTED.exec(item);
    if (quoted === null || quoted[1]!.trim() === "") return undefined;
    names.push(quoted[1]!);
  }
  return { kind: KIND[name as keyof typeof KIND], text, names };
}

const TOKEN = /\s*(&&|\|\||!(?!=)|\(|\)|[A-Za-z]+\s*\([^()]*\)|true|false|0|1)/y;

/** `a && b || !(c)` of short forms: `&&` binds tighter. */
class CombinationParser {
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(tokens: readonly string[]) {
    this.#tokens = tokens;
  }

  whole(): Right | undefined {
    const right = this.#joined("||");
    return this.#at === this.#tokens.length ? right : undefined;
  }

  #joined(operator: "||" | "&&"): Right | undefined {
    const of: Right[] = [];
    do {
      const part = operator === "||" ? this.#joined("&&") : this.#unary();
      if (part === undefined) return undefined;
      of.push(part);
    } while (this.#take(operator));
    if (of.length === 1) return of[0];
    const text = of.map((part) => part.text).join(` ${operator} `);
    return { kind: operator === "||" ? "any" : "all", text, of };
  }

  #unary(): Right | undefined {
    if (this.#take("!")) {
      const of = this.#unary();
      return of === undefined ? undefined : { kind: "not", text: `!${of.text}`, of };
    }
    if (this.#take("(")) {
      const inner = this.#joined("||");
      return inner !== undefined && this.#take(")") ? inner : undefined;
    }
    const right = parseForm(this.#tokens[this.#at++] ?? "no form");
    // It fails instead of being false: inside an expression that is for the language to say.
    return right?.kind === "contractConditions" ? undefined : right;
  }

  #take(token: string): boolean {
    if (this.#tokens[this.#at] !== token) return false;
    this.#at += 1;
    return true;
  }
}

function parseCombination(text: string): Right | undefined {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const match = TOKEN.exec(text);
    if (match === null || tokens.length >= RIGHT_PARTS_MAX) return undefined;
    tokens.push(match[1]!);
  }
  const right = new CombinationParser(tokens).whole();
  return right === undefined ? undefined : { ...right, text };
}

/**
 * Whether system contracts may save a text as a condition of an object that users edit: only the
 * short forms, so that what a condition does can be read off it.
 */
export function isPlainCondition(text: string): boolean {
  return text.trim() !== "" && parseForm(text.trim()) !== undefined;
}
