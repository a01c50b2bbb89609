/** Limits that all nodes of a ledger agree on; in genesis, changed by governance only. */
import type { QuorumRule } from "../block/validator-set.ts";
import { type CborValue, encodeCbor } from "../encoding/cbor.ts";
import { asMap, asUint } from "../encoding/fields.ts";
import { HanseError } from "../errors/hanse-error.ts";
import { DOMAINS, type Hash, hashWithDomain } from "../hash/domain.ts";

export interface LedgerParams {
  readonly blockBytesMax: number;
  readonly blockTransactionsMax: number;
  readonly transactionBytesMax: number;
  /** Furthest a transaction's validUntil may lie ahead of block time, milliseconds. */
  readonly validityWindowMs: number;
  /** Least pause between the times of two blocks, milliseconds. */
  readonly blockIntervalMsMin: number;
  /** Fuel units one transaction may burn. */
  readonly fuelPerTransactionMax: number;
  readonly fuelPerBlockMax: number;
  /** Bytes the values of one running contract may hold. */
  readonly contractMemoryBytesMax: number;
}

export const DEFAULT_LEDGER_PARAMS: LedgerParams = {
  blockBytesMax: 4 * 1024 * 1024,
  blockTransactionsMax: 5_000,
  transactionBytesMax: 1024 * 1024,
  validityWindowMs: 86_400_000,
  blockIntervalMsMin: 20,
  fuelPerTransactionMax: 20_000_000,
  fuelPerBlockMax: 200_000_000,
  contractMemoryBytesMax: 128 * 1024 * 1024,
};

const NAMES = Object.keys(DEFAULT_LEDGER_PARAMS) as (keyof LedgerParams)[];

export function ledgerParamsToCbor(params: LedgerParams): CborValue {
  return new Map(NAMES.map((name) => [name, params[name]]));
}

/** @throws HanseError naming the field that is missing, unknown or out of bounds. */
export function ledgerParamsFromCbor(value: CborValue | undefined, field: string): LedgerParams {
  const map = asMap(value, field);
  for (const name of map.keys()) {
    if (!NAMES.includes(name as keyof LedgerParams)) {
      throw new HanseError("PARAMS_UNKNOWN", "malformed", `${field}.${name}: no such parameter`);
    }
  }
  const params: Partial<Record<keyof LedgerParams, number>> = {};
  for (const name of NAMES) {
    const number = asUint(map.get(name), `${field}.${name}`);
    if (number === 0 && name !== "blockIntervalMsMin") {
      throw new HanseError("PARAMS_RANGE", "malformed", `${field}.${name}: must be at least 1`);
    }
    params[name] = number;
  }
  return params as LedgerParams;
}

/** The first limit that is out of bounds or does not fit the others; undefined = they may stand. */
export function paramsFault(
  params: LedgerParams,
): { readonly name: keyof LedgerParams; readonly expected: string } | undefined {
  for (const name of NAMES) {
    const value: number | undefined = params[name];
    if (!Number.isSafeInteger(value) || value < (name === "blockIntervalMsMin" ? 0 : 1)) {
      return { name, expected: "expected a positive integer" };
    }
  }
  if (params.transactionBytesMax > params.blockBytesMax) {
    return { name: "transactionBytesMax", expected: "must not exceed blockBytesMax" };
  }
  if (params.fuelPerTransactionMax > params.fuelPerBlockMax) {
    return { name: "fuelPerTransactionMax", expected: "must not exceed fuelPerBlockMax" };
  }
  return undefined;
}

/** The newest change of how the ledger is ordered: decided, and in force above height `at`. */
export interface OrderingChange {
  /** Last height of the old rules. */
  readonly at: number;
  readonly engineEpoch: number;
  /** `builtin`, `cometbft` or `etcd`. */
  readonly engine: string;
  readonly policy: string;
  readonly quorum: QuorumRule;
}

/** `paramsHash` of headers; `change` is absent on a ledger that is ordered as its genesis says. */
export function hashLedgerParams(params: LedgerParams, change?: OrderingChange): Hash {
  const limits = ledgerParamsToCbor(params);
  const body: CborValue =
    change === undefined
      ? limits
      : [limits, [change.at, change.engineEpoch, change.engine, change.policy, change.quorum]];
  return hashWithDomain(DOMAINS.parameters, encodeCbor(body));
}
