/** Rights and data as one host call sees them: the run, and where in it the call stands. */
import { type Catalog, parseRight, type Right, resolveContractName } from "@hanse/ecosystem";
import { accountText } from "@hanse/identity";
import type { NeedleArray, NeedleValue } from "@hanse/needle";
import { HanseError } from "@hanse/protocol";
import type { ColumnValue, StateOverlay } from "@hanse/state";
import { FUEL_SEARCH } from "../database/data-fuel.ts";
import type { DatabaseSession, RunRights } from "../database/database-session.ts";
import type { RunContext } from "./run-context.ts";

/** The part of a call of the language that rights are asked of. */
export interface RightsCall {
  /** Full names of the contracts on the call stack, outermost first. */
  readonly callStack: readonly string[];
  useFuel(units: number): void;
  evaluate(condition: string, extra?: ReadonlyMap<string, NeedleValue>): boolean;
}

/** Number of the account that nobody owns; reads without a caller run as it. */
export const GUEST_KEY_ID = -110277540701013350n;

const NAMED = /\b(ContractAccess|ContractConditions)\s*\(([^()]*)\)/g;

/** A condition with its bare contract names moved to the ecosystem they belong to. */
function qualify(text: string, ecosystem: number): string {
  return text.replace(
    NAMED,
    (_, call: string, list: string) =>
      `${call}(${list.replace(/"(?!@)\s*([A-Za-z_]\w*)\s*"/g, `"@${ecosystem}$1"`)})`,
  );
}

export class CallSession implements DatabaseSession, RunRights {
  readonly #run: RunContext;
  readonly #call: RightsCall;

  constructor(run: RunContext, call: RightsCall) {
    this.#run = run;
    this.#call = call;
  }

  get state(): StateOverlay {
    return this.#run.state;
  }

  get rights(): RunRights {
    return this;
  }

  get ecosystem(): number {
    return this.#run.ecosystem;
  }

  catalog(): Catalog {
    return this.#run.catalog();
  }

  noteRow(table: string, key: bigint): void {
    this.#run.rowReads?.push(table, key);
  }

  noteCatalogWrite(): void {
    this.#run.forgetCatalog();
  }

  chargeFuel(units: number): void {
    this.#call.useFuel(units);
  }

  get keyId(): bigint {
    return this.#run.sender?.keyId ?? GUEST_KEY_ID;
  }

  holds(right: Right, ecosystem: number, appId: bigint): boolean {
    switch (right.kind) {
      case "always":
        return true;
      case "never":
        return false;
      case "contractAccess":
        return this.#isDoneBy(right.names, ecosystem);
      case "hasRole":
        return this.hasRole(right.names);
      case "orgAccess":
        return this.#run.sender !== undefined && right.names.includes(this.#run.sender.org);
      case "orgInParam":
        return this.#isOrgListed(right.names, ecosystem, appId);
      case "all":
        return right.of.every((part) => this.holds(part, ecosystem, appId));
      case "any":
        return right.of.some((part) => this.holds(part, ecosystem, appId));
      case "not":
        return !this.holds(right.of, ecosystem, appId);
      case "roleAccess":
        return this.hasRoleNumber(right.ids, ecosystem);
      default:
        return this.#evaluate(right, ecosystem);
    }
  }

  /** Whether a condition given as text holds; one that fails does not. */
  fulfils(condition: string, ecosystem: number): boolean {
    try {
      return this.holds(parseRight(condition), ecosystem, 0n);
    } catch (thrown) {
      if (thrown instanceof HanseError && thrown.kind === "denied") return false;
      throw thrown;
    }
  }

  #evaluate(right: Right, ecosystem: number, extra?: ReadonlyMap<string, NeedleValue>): boolean {
    const text = ecosystem === this.#run.ecosystem ? right.text : qualify(right.text, ecosystem);
    return this.#call.evaluate(text, extra);
  }

  /** Whether the contract that does the operation itself is one of these. */
  #isDoneBy(names: readonly string[], ecosystem: number): boolean {
    const { callStack } = this.#call;
    for (let at = callStack.length - 1; at >= 0; at--) {
      const running = callStack[at]!;
      if (!running.startsWith("@")) continue;
      for (const name of names) {
        if (name === running || resolveContractName(name, ecosystem).full === running) return true;
      }
      return false;
    }
    return false;
  }

  #isOrgListed(names: readonly string[], ecosystem: number, appId: bigint): boolean {
    const { sender, state } = this.#run;
    if (sender === undefined) return false;
    for (const name of names) {
      const list = this.catalog().appParameter(state, ecosystem, appId, name) ?? "";
      if (list.split(",").some((item) => item.trim() === sender.org)) return true;
    }
    return false;
  }

  hasRole(names: readonly string[]): boolean {
    const roles = this.#run.sender?.roles;
    return roles?.some((role) => names.includes(role)) ?? false;
  }

  /**
   * Whether the sender holds a role with one of these numbers: by the role's name in the register
   * of accounts, or as a participant entered in the ecosystem's own table.
   */
  hasRoleNumber(ids: readonly bigint[], ecosystem: number): boolean {
    const { sender, state } = this.#run;
    if (sender === undefined) return false;
    for (const id of ids) {
      const name = this.catalog().roleName(state, ecosystem, id);
      if (name === undefined) continue;
      if (sender.roles.includes(name)) return true;
      this.#call.useFuel(FUEL_SEARCH);
      const participants = state.count({
        table: "1_roles_participants",
        where: {
          op: "and",
          of: [
            { op: "eq", column: "ecosystem", value: BigInt(ecosystem) },
            { op: "eq", column: "deleted", value: 0n },
            {
              op: "json",
              column: "role",
              path: ["id"],
              compare: "eq",
              value: id.toString(),
            },
            {
              op: "json",
              column: "member",
              path: ["account"],
              compare: "eq",
              value: accountText(sender.keyId),
            },
          ],
        },
      });
      if (participants > 0) return true;
    }
    return false;
  }

  releases(filter: Right, ecosystem: number, appId: bigint, data: NeedleArray): boolean {
    if (filter.kind === "expression" || filter.kind === "contractConditions") {
      return this.#evaluate(filter, ecosystem, new Map([["data", data]]));
    }
    return this.holds(filter, ecosystem, appId);
  }

  callerValue(name: string): ColumnValue {
    switch (name) {
      case "$org":
        // No organization is a value that no row has: nobody in particular sees no rows by it.
        return this.#run.sender?.org ?? null;
      case "$key_id":
        return this.keyId;
      case "$account_id":
        return accountText(this.keyId);
      default:
        throw new HanseError("ECOSYSTEM_PERMISSIONS", "corrupt", `rows: unknown ${name}`);
    }
  }

  isFounder(ecosystem: number): boolean {
    const { sender, state } = this.#run;
    if (sender === undefined) return false;
    const founder = this.catalog().parameter(state, ecosystem, "founder_account");
    return founder === sender.keyId.toString() || founder === accountText(sender.keyId);
  }
}
