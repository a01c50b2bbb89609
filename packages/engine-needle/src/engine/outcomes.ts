/** How calls end, as the ledger records it. */
import type { LedgerEvent, Outcome } from "@hanse/ledger";
import { type RunError, runErrorToText } from "@hanse/needle";
import type { HanseError } from "@hanse/protocol";

/** Outcome codes of the engine; `ok` beside them, and the codes of installing applications. */
export const CONTRACT_CODES = {
  error: "CONTRACT_ERROR",
  warning: "CONTRACT_WARNING",
  info: "CONTRACT_INFO",
  exception: "CONTRACT_EXCEPTION",
  panic: "CONTRACT_PANIC",
  limit: "CONTRACT_LIMIT",
  fuel: "FUEL_EXHAUSTED",
  memory: "MEMORY_EXHAUSTED",
  denied: "ACCESS_DENIED",
} as const;

export type ContractCode = (typeof CONTRACT_CODES)[keyof typeof CONTRACT_CODES];

export function contractCodeOf(error: RunError): ContractCode {
  switch (error.code) {
    case "NEEDLE_FUEL":
      return CONTRACT_CODES.fuel;
    case "NEEDLE_MEMORY":
      return CONTRACT_CODES.memory;
    case "NEEDLE_ACCESS_DENIED":
    case "NEEDLE_ACCESS":
      return CONTRACT_CODES.denied;
    default:
      return CONTRACT_CODES[error.kind];
  }
}

export function runErrorOutcome(error: RunError, fuelUsed: bigint): Outcome {
  return {
    code: contractCodeOf(error),
    result: "",
    error: runErrorToText(error),
    fuelUsed,
    events: [],
  };
}

export function errorOutcome(error: HanseError, fuelUsed: bigint): Outcome {
  return { code: error.code, result: "", error: error.message, fuelUsed, events: [] };
}

export function okOutcome(
  result: string,
  fuelUsed: bigint,
  events: readonly LedgerEvent[],
): Outcome {
  return { code: "ok", result, error: "", fuelUsed, events };
}
