/** Parameters of validator policies: unsigned integers by name, on the ledger and in genesis. */
import { HanseError, nearestName } from "@hanse/protocol";

export interface ParamRange {
  readonly default: number;
  readonly min: number;
  readonly max: number;
}

export type PolicyParams = Readonly<Record<string, number>>;

/**
 * All parameters of a policy: those given, the rest by default.
 * @throws HanseError `POLICY_PARAMS_INVALID` naming an unknown or out of range parameter.
 */
export function readPolicyParams<T extends Readonly<Record<string, ParamRange>>>(
  kind: string,
  ranges: T,
  given: PolicyParams,
): { readonly [K in keyof T]: number } {
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(ranges, name)) continue;
    const near = nearestName(name, Object.keys(ranges));
    const hint = near === undefined ? "" : `; did you mean ${near}?`;
    invalid(kind, name, `no such parameter${hint}`);
  }
  const params: Record<string, number> = {};
  for (const [name, range] of Object.entries(ranges)) {
    const value = given[name] ?? range.default;
    if (!Number.isSafeInteger(value) || value < range.min || value > range.max) {
      invalid(kind, name, `expected an integer from ${range.min} to ${range.max}`);
    }
    params[name] = value;
  }
  return params as { readonly [K in keyof T]: number };
}

function invalid(kind: string, name: string, what: string): never {
  throw new HanseError("POLICY_PARAMS_INVALID", "malformed", `policy ${kind}, ${name}: ${what}`, {
    details: { field: name },
  });
}
