/**
 * Checks of a fetched window of blocks (spec/ordering.md, section "Catch-up"): the blocks are
 * linked by hashes, so one certificate at the end of every run under one validator set vouches
 * for the whole run.
 */
import {
  type Bytes,
  type Certificate,
  equalBytes,
  type Hash,
  type ValidatorSet,
} from "@hanse/protocol";
import type { Body } from "../core/events.ts";
import type { Height } from "../engine/interfaces.ts";
import {
  bodyFromBytes,
  certificateChecks,
  type SignatureCheck,
  tryDecodeCertificate,
} from "../wire/bodies.ts";

export interface DecidedPair {
  readonly body: Body;
  readonly certificate: Certificate;
}

export interface Run {
  readonly blocks: readonly DecidedPair[];
  /** To be verified before any block of the run counts. */
  readonly checks: readonly SignatureCheck[];
  /** What is left of the window: to be checked once the run has been executed. */
  readonly rest: readonly Body[];
}

export interface Trust {
  readonly height: Height;
  readonly parentHash: Hash;
  readonly set: ValidatorSet;
  readonly quorum: number;
  readonly ledgerId: Hash;
  readonly engineEpoch: number;
}

/** Decodes a window's blocks: consecutive heights from `from`, bodies as their headers say. */
export function decodeWindow(from: Height, blocks: readonly Bytes[]): Body[] | undefined {
  const bodies: Body[] = [];
  for (const [i, bytes] of blocks.entries()) {
    let body: Body;
    try {
      body = bodyFromBytes(bytes);
    } catch {
      return undefined;
    }
    if (body.block.header.height !== from + i) return undefined;
    const parent = bodies[i - 1];
    if (parent !== undefined && !equalBytes(body.block.header.parentHash, parent.hash)) {
      return undefined;
    }
    bodies.push(body);
  }
  return bodies;
}

/**
 * The longest run of the window's first blocks under the trusted set, and the signatures that
 * make it final. Undefined when the window cannot be part of this ledger.
 */
export function firstRun(
  bodies: readonly Body[],
  windowCertificate: Bytes,
  trust: Trust,
): Run | undefined {
  const first = bodies[0];
  if (first === undefined || !equalBytes(first.block.header.parentHash, trust.parentHash)) {
    return undefined;
  }
  let count = 0;
  while (
    count < bodies.length &&
    bodies[count]!.block.header.engineEpoch === trust.engineEpoch &&
    equalBytes(bodies[count]!.block.header.validatorsHash, trust.set.hash)
  ) {
    count++;
  }
  if (count === 0) return undefined;
  const certificates: Certificate[] = [];
  for (let i = 0; i < count; i++) {
    const above = bodies[i + 1];
    const bytes = above === undefined ? windowCertificate : above.block.lastCert;
    const certificate = tryDecodeCertificate(bytes);
    if (
      certificate?.kind !== "finalize" ||
      certificate.blockHash === undefined ||
      certificate.height !== trust.height + i ||
      certificate.engineEpoch !== trust.engineEpoch ||
      !equalBytes(certificate.blockHash, bodies[i]!.hash)
    ) {
      return undefined;
    }
    certificates.push(certificate);
  }
  const checks = certificateChecks(
    certificates[count - 1]!,
    trust.set,
    trust.quorum,
    trust.ledgerId,
  );
  if (checks === undefined) return undefined;
  return {
    blocks: certificates.map((certificate, i) => ({ body: bodies[i]!, certificate })),
    checks,
    rest: bodies.slice(count),
  };
}
