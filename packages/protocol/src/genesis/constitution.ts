/** By which majorities the organizations of a ledger change it (spec/governance.md). */
import type { CborValue } from "../encoding/cbor.ts";
import { asArray, asMap, asText, asUint } from "../encoding/fields.ts";
import { HanseError } from "../errors/hanse-error.ts";

/** Numerator and denominator: more than this part of the organizations must approve. */
export type Fraction = readonly [number, number];

/** What proven equivocation costs: nothing but a record, the right to propose, or the vote. */
export type EvidenceConsequence = "record" | "suspend" | "remove";

export interface Constitution {
  /** Of the organizations that have validators; for most decisions. */
  readonly approveAbove: Fraction;
  /** For another engine, quorum rule or policy, and for changing the constitution. */
  readonly switchAbove: Fraction;
  /** Of the organizations whose members are not the ones to be removed. */
  readonly emergencyAbove: Fraction;
  /** Blocks after which a proposal has expired. */
  readonly proposalBlocks: number;
  /** Blocks for which the proof that a node is ready counts. */
  readonly readinessBlocks: number;
  readonly evidence: EvidenceConsequence;
}

export const DEFAULT_CONSTITUTION: Constitution = {
  approveAbove: [1, 2],
  switchAbove: [2, 3],
  emergencyAbove: [2, 3],
  proposalBlocks: 10_000,
  readinessBlocks: 1_000,
  evidence: "remove",
};

const FRACTIONS = ["approveAbove", "switchAbove", "emergencyAbove"] as const;
const COUNTS = ["proposalBlocks", "readinessBlocks"] as const;
const CONSEQUENCES: readonly string[] = ["record", "suspend", "remove"];

export const CONSTITUTION_FIELDS: readonly (keyof Constitution)[] = [
  ...FRACTIONS,
  ...COUNTS,
  "evidence",
];

const DENOMINATOR_MAX = 1_000;
const BLOCKS_MAX = 100_000_000;

function invalid(field: string, expected: string): never {
  throw new HanseError("CONSTITUTION_INVALID", "malformed", `${field}: expected ${expected}`, {
    details: { field, expected },
  });
}

/** @throws HanseError `CONSTITUTION_INVALID` naming the field. */
export function validateConstitution(c: Constitution, field: string): void {
  for (const name of FRACTIONS) {
    const [above, of] = c[name];
    const whole = c[name].length === 2 && Number.isInteger(above) && Number.isInteger(of);
    // Less than half would let two halves decide against each other; all of them would let one lame all.
    if (!whole || of < 1 || of > DENOMINATOR_MAX || 2 * above < of || above >= of) {
      invalid(`${field}.${name}`, "[numerator, denominator], at least a half and below 1");
    }
  }
  for (const name of COUNTS) {
    if (!Number.isInteger(c[name]) || c[name] < 1 || c[name] > BLOCKS_MAX) {
      invalid(`${field}.${name}`, `1 to ${BLOCKS_MAX} blocks`);
    }
  }
  if (!CONSEQUENCES.includes(c.evidence)) {
    invalid(`${field}.evidence`, "record, suspend or remove");
  }
}

export function constitutionToCbor(c: Constitution): CborValue {
  return new Map<string, CborValue>(CONSTITUTION_FIELDS.map((name) => [name, c[name]]));
}

/** @throws HanseError `CONSTITUTION_INVALID` or `FIELD_INVALID` naming the field. */
export function constitutionFromCbor(value: CborValue | undefined, field: string): Constitution {
  const map = asMap(value, field);
  for (const name of map.keys()) {
    if (!(CONSTITUTION_FIELDS as readonly string[]).includes(name)) {
      invalid(`${field}.${name}`, `one of ${CONSTITUTION_FIELDS.join(", ")}`);
    }
  }
  const fraction = (name: string): Fraction => {
    const [above, of] = asArray(map.get(name), `${field}.${name}`, 2);
    return [asUint(above, `${field}.${name}[0]`), asUint(of, `${field}.${name}[1]`)];
  };
  const constitution: Constitution = {
    approveAbove: fraction("approveAbove"),
    switchAbove: fraction("switchAbove"),
    emergencyAbove: fraction("emergencyAbove"),
    proposalBlocks: asUint(map.get("proposalBlocks"), `${field}.proposalBlocks`),
    readinessBlocks: asUint(map.get("readinessBlocks"), `${field}.readinessBlocks`),
    evidence: asText(map.get("evidence"), `${field}.evidence`) as EvidenceConsequence,
  };
  validateConstitution(constitution, field);
  return constitution;
}

/** Whether so many of so many are more than the fraction. */
export function isAbove(count: number, of: number, [above, parts]: Fraction): boolean {
  return count * parts > of * above;
}
