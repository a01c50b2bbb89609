/** Blocks before they are voted on: our own are drafted here, those of others examined. */
import { type Bytes, bitmapToIndices, equalBytes, toHanseError, toHex } from "@hanse/protocol";
import type { Body } from "../core/events.ts";
import type { Height } from "../engine/interfaces.ts";
import {
  decodeEvidence,
  EVIDENCE_PER_BLOCK_MAX,
  type Evidence,
  evidenceClaims,
  evidenceRefusal,
  offenceKey,
} from "../evidence/evidence.ts";
import { encodeRecovery } from "../recovery/recovery-document.ts";
import {
  bodyOf,
  certificateChecks,
  type SignatureCheck,
  tryDecodeCertificate,
} from "../wire/bodies.ts";
import { EvidencePool } from "./evidence-pool.ts";
import { LateVotes } from "./late-votes.ts";
import { type Runtime, verifyAll } from "./runtime.ts";

type Verdict = { readonly ok: true } | { readonly ok: false; readonly reason: string };

function refuse(reason: string): Verdict {
  return { ok: false, reason };
}

export class CandidateBlocks {
  readonly #runtime: Runtime;
  readonly evidence: EvidencePool;
  readonly late: LateVotes;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
    this.evidence = new EvidencePool(runtime.options.clock);
    this.late = new LateVotes(runtime);
  }

  /** Whether evidence, or the document that begins an epoch, waits for a block of this height. */
  isNeeded(height: Height): boolean {
    if (this.#recoveryAt(height) !== undefined) return true;
    if (this.evidence.size === 0) return false;
    return this.evidence.offer(this.#place(height)).length > 0;
  }

  /** The recovery document, if this height's block has to carry it. */
  #recoveryAt(height: Height): Bytes | undefined {
    const { recovery } = this.#runtime.options;
    return recovery?.height === height - 1 ? encodeRecovery(recovery) : undefined;
  }

  #place(height: Height) {
    const { core } = this.#runtime;
    const { engineEpoch } = core.eraAt(height);
    return { height, engineEpoch, set: core.setAt(height) };
  }

  /** What the final block says of offences is settled. */
  settle(body: Body): void {
    for (const bytes of body.block.evidence) {
      const evidence = tryDecodeEvidence(bytes);
      if (evidence !== undefined) this.evidence.settle(offenceKey(evidence));
    }
  }

  build(height: Height, view: number, now: number): void {
    this.#draft(height, view, now).then(
      (body) => {
        if (!this.#runtime.stopped) this.#runtime.step({ t: "built", height, view, body });
      },
      (thrown: unknown) => {
        if (this.#runtime.stopped) return;
        const error = toHanseError(thrown);
        const message = `${error.code}: ${error.message}`;
        this.#runtime.report({ t: "alarm", code: "ORDERING_BUILD", message });
        this.#runtime.step({ t: "buildFailed", height, view });
      },
    );
  }

  async #draft(height: Height, view: number, now: number): Promise<Body> {
    const { core, options, engineEpoch } = this.#runtime;
    const { parent, set, nextSet, lastSetChangeHeight, era } = core.open;
    const lastCert = await this.late.richest(height - 1, core.open.lastCert);
    const recovery = this.#recoveryAt(height);
    const offered = this.evidence.offer(this.#place(height));
    const block = await options.app.buildBlock({
      height,
      view,
      parent,
      lastCert,
      evidence: [...(recovery === undefined ? [] : [recovery]), ...offered.map((o) => o.bytes)],
      proposer: options.signer.id,
      set,
      nextSet,
      engineEpoch,
      lastSetChangeHeight,
      policyExtra: era.rule.policyExtra?.(now) ?? new Uint8Array(0),
      now,
    });
    const taken = new Set(block.evidence.map((bytes) => toHex(bytes)));
    for (const { key, bytes } of offered) {
      if (!taken.has(toHex(bytes))) this.evidence.settle(key);
    }
    return bodyOf(block);
  }

  validate(body: Body): void {
    const { height } = body.block.header;
    this.#judge(body).then(
      (verdict) => {
        if (this.#runtime.stopped) return;
        const { key } = body;
        const reason = verdict.ok ? {} : { reason: verdict.reason };
        this.#runtime.step({ t: "validated", height, key, ok: verdict.ok, ...reason });
      },
      (thrown: unknown) => {
        const error = toHanseError(thrown);
        this.#runtime.halt("ORDERING_VALIDATE", `${error.code}: ${error.message}`);
      },
    );
  }

  async #judge(body: Body): Promise<Verdict> {
    const { lastCert, header, evidence } = body.block;
    if (!(await this.#isFinalBelow(lastCert, header.height, header.parentHash))) {
      return refuse("the certificate of the height below does not hold");
    }
    const recovery = this.#recoveryAt(header.height);
    if (recovery !== undefined && !equalBytes(evidence[0] ?? new Uint8Array(0), recovery)) {
      return refuse("it does not begin with the recovery document that this node was given");
    }
    const offences = recovery === undefined ? evidence : evidence.slice(1);
    if (offences.length > 0) {
      const verdict = await this.#judgeEvidence(offences, header.height);
      if (!verdict.ok) return verdict;
    }
    return this.#runtime.options.app.validateBlock(body.block, body.hash);
  }

  /** Whether it repeats what is on the ledger is for the ledger to say, which remembers. */
  async #judgeEvidence(list: readonly Bytes[], height: Height): Promise<Verdict> {
    const { options } = this.#runtime;
    if (options.testOnlyMutation === "accept-any-evidence") return { ok: true };
    if (list.length > EVIDENCE_PER_BLOCK_MAX) {
      return refuse(`more than ${EVIDENCE_PER_BLOCK_MAX} pieces of evidence`);
    }
    const place = this.#place(height);
    const offences = new Set<string>();
    const checks: SignatureCheck[] = [];
    for (const [i, bytes] of list.entries()) {
      const evidence = tryDecodeEvidence(bytes);
      if (evidence === undefined) return refuse(`evidence[${i}] is none`);
      const refusal = evidenceRefusal(evidence, place);
      if (refusal !== undefined) return refuse(`evidence[${i}]: ${refusal}`);
      const key = offenceKey(evidence);
      if (offences.has(key)) return refuse(`evidence[${i}] repeats an offence`);
      offences.add(key);
      checks.push(...evidenceClaims(evidence, { set: place.set, ledgerId: options.ledgerId })!);
    }
    return (await verifyAll(this.#runtime, checks))
      ? { ok: true }
      : refuse("a signature in the evidence does not hold");
  }

  async #isFinalBelow(bytes: Bytes, height: Height, parentHash: Bytes): Promise<boolean> {
    const { core, options } = this.#runtime;
    if (height === 1) return bytes.length === 0;
    const known = height === core.height ? core.open.lastCert : new Uint8Array(0);
    if (equalBytes(bytes, known)) return true;
    const certificate = tryDecodeCertificate(bytes);
    if (
      certificate?.kind !== "finalize" ||
      certificate.height !== height - 1 ||
      certificate.engineEpoch !== core.eraAt(height - 1).engineEpoch ||
      certificate.blockHash === undefined ||
      !equalBytes(certificate.blockHash, parentHash)
    ) {
      return false;
    }
    const set = core.setAt(height - 1);
    const checks = certificateChecks(certificate, set, core.quorumOf(set), options.ledgerId);
    if (checks === undefined) return false;
    // Mostly our own certificate with some signers more or less: those need no second check.
    const own = tryDecodeCertificate(known);
    if (own === undefined || own.view !== certificate.view) return verifyAll(this.#runtime, checks);
    const held = new Map(bitmapToIndices(own.signers).map((at, i) => [at, own.signatures[i]!]));
    const signers = bitmapToIndices(certificate.signers);
    const unknown = checks.filter(({ signature }, i) => {
      const mine = held.get(signers[i]!);
      return mine === undefined || !equalBytes(mine, signature);
    });
    return verifyAll(this.#runtime, unknown);
  }
}

function tryDecodeEvidence(bytes: Bytes): Evidence | undefined {
  try {
    return decodeEvidence(bytes);
  } catch {
    return undefined;
  }
}
