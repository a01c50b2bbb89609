import type { PolicyKind, ValidatorPolicy } from "../engine/interfaces.ts";
import { createDpoaPolicy } from "./dpoa.ts";
import { createFixedPolicy } from "./fixed.ts";
import { type PolicyParams, readPolicyParams } from "./policy-params.ts";
import { createPosrPolicy } from "./posr.ts";

/**
 * The policy that a ledger names, with the parameters that its state holds; those not given take
 * their defaults.
 * @throws HanseError `POLICY_PARAMS_INVALID` naming the parameter.
 */
export function createPolicy(kind: PolicyKind, params: PolicyParams = {}): ValidatorPolicy {
  switch (kind) {
    case "fixed":
      readPolicyParams(kind, {}, params);
      return createFixedPolicy();
    case "dpoa":
      return createDpoaPolicy(params);
    case "posr":
      return createPosrPolicy(params);
  }
}
