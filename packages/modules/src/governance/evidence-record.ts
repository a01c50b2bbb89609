/** Proven equivocation as a fact of the ledger, and what it costs. */
import {
  decodeEvidence,
  type Evidence,
  type Height,
  offenceKey,
  type ReportedOffence,
  tryDecodeReportedOffence,
  type ValidatorUpdate,
} from "@hanse/ordering";
import { type Bytes, type EvidenceConsequence, HanseError, toHex } from "@hanse/protocol";
import type { Row, StateOverlay, StateView } from "@hanse/state";
import { putQueue, QUEUE_MAX, readQueue, rehearseQueue } from "./change-queue.ts";
import { putRules, readRules } from "./rules.ts";
import { EVIDENCE } from "./tables.ts";
import { newestSet } from "./validator-sets.ts";

/** Of a report, which names no view. */
const NO_VIEW = -1n;

/** An offence as a block carries it: two signatures, or the report of the engine that orders. */
function readOffence(bytes: Bytes): Evidence | ReportedOffence {
  return tryDecodeReportedOffence(bytes) ?? decodeEvidence(bytes);
}

function isRecorded(view: StateView, offence: Evidence | ReportedOffence): boolean {
  return view.getRow(EVIDENCE, offenceKey(offence)) !== undefined;
}

/** Why an offence may not stand in a block; undefined = it may. Of bad form is refused as well. */
export function offenceFault(bytes: Bytes, state: StateView): string | undefined {
  const report = tryDecodeReportedOffence(bytes);
  if (report !== undefined) {
    // Follows from the engine's own block and stands in ours with it: a second one changes nothing.
    if (readRules(state).engine === "cometbft") return undefined;
    return `the report against ${report.validator} is of an engine that does not order this ledger`;
  }
  try {
    const evidence = decodeEvidence(bytes);
    if (!isRecorded(state, evidence)) return undefined;
    return `the offence of ${evidence.validator} at height ${evidence.height} is on the ledger`;
  } catch (error) {
    if (error instanceof HanseError) return error.message;
    throw error;
  }
}

interface Judgement {
  readonly consequence: EvidenceConsequence;
  readonly note: string;
}

/** What follows for the set; a set that cannot do without the validator keeps it. */
function judge(overlay: StateOverlay, validator: string, wanted: EvidenceConsequence): Judgement {
  if (wanted === "record") return { consequence: "record", note: "" };
  const { set } = newestSet(overlay);
  const member = set.members.find(({ id }) => id === validator);
  if (member === undefined) return { consequence: "record", note: "it is no validator any more" };
  const update: ValidatorUpdate =
    wanted === "remove" ? { ...member, vote: 0, propose: 0 } : { ...member, propose: 0 };
  const queue = readQueue(overlay).filter((change) => change.update.id !== validator);
  const next = [{ update, at: 0, proposal: 0 }, ...queue];
  try {
    rehearseQueue(next, set);
  } catch (error) {
    if (!(error instanceof HanseError) || error.kind !== "rejected") throw error;
    return { consequence: "record", note: `the set cannot do without it: ${error.message}` };
  }
  if (next.length > QUEUE_MAX)
    return { consequence: "record", note: "too many changes on their way" };
  putQueue(overlay, next);
  const rules = readRules(overlay);
  const others = rules.barred.filter((id) => id !== validator);
  const barred = wanted === "suspend" ? [...others, validator].sort() : others;
  if (barred.join() !== rules.barred.join()) putRules(overlay, { ...rules, barred });
  return { consequence: wanted, note: "" };
}

/**
 * Records each piece of a block once, with its consequence. What proves it held before any vote:
 * its signatures here, or those that the engine checked before it reported.
 */
export function recordEvidence(
  overlay: StateOverlay,
  list: readonly Bytes[],
  height: Height,
): boolean {
  let changed = false;
  for (const bytes of list) {
    const offence = readOffence(bytes);
    if (isRecorded(overlay, offence)) continue;
    const { consequence, note } = judge(
      overlay,
      offence.validator,
      readRules(overlay).constitution.evidence,
    );
    overlay.insert(EVIDENCE, [
      offenceKey(offence),
      offence.validator,
      offence.kind,
      BigInt(offence.height),
      "view" in offence ? BigInt(offence.view) : NO_VIEW,
      BigInt(height),
      consequence,
      note,
      bytes,
    ]);
    changed = true;
  }
  return changed;
}

function describeRow(row: Row) {
  const [, validator, kind, height, view, recorded, consequence, note, evidence] = row.values;
  return {
    validator: validator as string,
    kind: kind as string,
    height: Number(height),
    view: Number(view),
    recordedAt: Number(recorded),
    consequence: consequence as string,
    note: note as string,
    evidence: toHex(evidence as Bytes),
  };
}

export function listEvidence(view: StateView, limit: number, offset: number) {
  return view.find({ table: EVIDENCE, limit, offset }).map(describeRow);
}
