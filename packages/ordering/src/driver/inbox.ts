/** Messages from peers: decoded, bounded, checked, and only then given to the core. */
import {
  type Bytes,
  type Certificate,
  equalBytes,
  HanseError,
  sha256,
  toHanseError,
  toHex,
  type ValidatorId,
} from "@hanse/protocol";
import { type Body, VIEWS_AHEAD_MAX } from "../core/events.ts";
import type { Height } from "../engine/interfaces.ts";
import {
  decodeEvidence,
  type Evidence,
  evidenceClaims,
  evidenceRefusal,
} from "../evidence/evidence.ts";
import {
  bodyFromBytes,
  certificateChecks,
  type SignatureCheck,
  tryDecodeCertificate,
} from "../wire/bodies.ts";
import {
  decodeMessage,
  type ProposeMessage,
  proposeMessage,
  type VoteMessage,
  type WireMessage,
} from "../wire/messages.ts";
import { PeerConduct } from "./peer-conduct.ts";
import { type DropReason, type Runtime, verifyAll } from "./runtime.ts";
import { VoteGate } from "./vote-gate.ts";

/** Messages of the next height kept until it opens: votes and first proposals of every member. */
const STASH_MAX = 4096;
const STASH_BYTES_MAX = 64 * 1024 * 1024;
/** Certificates being verified at once. */
const CERTIFICATES_IN_CHECK_MAX = 256;
/** First votes of one peer for the height just decided that are told from calls for help. */
const LATE_PER_PEER_MAX = 64;

export interface InboxPeers {
  /** The peer is past this height: `height` is final there. */
  claim(peer: ValidatorId, height: Height): void;
  status(peer: ValidatorId, message: Extract<WireMessage, { t: "status" }>): void;
  range(peer: ValidatorId, message: Extract<WireMessage, { t: "range" }>): void;
  serveRange(peer: ValidatorId, from: Height, to: Height): void;
  /** Sends the final block of a height below ours. */
  help(peer: ValidatorId, height: Height): void;
  /** A finalize vote for the height decided last; true when it was one that was missing. */
  late(peer: ValidatorId, vote: VoteMessage): boolean;
  wantsEvidence(evidence: Evidence): boolean;
  /** Evidence whose signatures hold. */
  evidence(peer: ValidatorId, evidence: Evidence): void;
}

export class Inbox {
  readonly #runtime: Runtime;
  readonly #peers: InboxPeers;
  readonly #gate: VoteGate;
  readonly #conduct: PeerConduct;
  #stash: { readonly from: ValidatorId; readonly message: WireMessage }[] = [];
  #stashKeys = new Set<string>();
  #stashBytes = 0;
  /** First votes for the height just decided: late, not lost. */
  readonly #late = new Map<ValidatorId, Set<string>>();
  #inCheck = new Set<string>();
  #height = 0;

  constructor(runtime: Runtime, peers: InboxPeers) {
    this.#runtime = runtime;
    this.#peers = peers;
    this.#gate = new VoteGate(runtime);
    this.#conduct = new PeerConduct(runtime.options.clock, runtime.tuning.requestsPerSecond);
  }

  receive(from: ValidatorId, bytes: Bytes): void {
    let message: WireMessage;
    try {
      message = decodeMessage(bytes);
    } catch (error) {
      this.#bad(from, toHanseError(error).code);
      return;
    }
    this.#take(from, message);
  }

  /** Whatever a peer sends costs that peer its word, never this node its life. */
  #take(from: ValidatorId, message: WireMessage): void {
    try {
      this.#dispatch(from, message);
    } catch (error) {
      if (error instanceof HanseError && error.kind !== "corrupt") this.#bad(from, error.code);
      else
        this.#runtime.halt("ORDERING_BUG", error instanceof Error ? `${error.stack}` : `${error}`);
    }
  }

  /** The core may have opened another height; called after every step. */
  follow(): void {
    const { core } = this.#runtime;
    if (core.executing || core.height === this.#height) return;
    this.#height = core.height;
    this.#late.clear();
    this.#inCheck.clear();
    this.#gate.clear(core.height);
    const stash = this.#stash;
    this.#stash = [];
    this.#stashKeys = new Set();
    this.#stashBytes = 0;
    for (const { from, message } of stash) this.#take(from, message);
  }

  /** Finalize votes for what was decided that its certificate may lack. */
  votesFor(c: Certificate): readonly { readonly signer: number; readonly signature: Bytes }[] {
    return this.#gate.votesFor(c);
  }

  recheckVotes(): void {
    this.#gate.recheck();
  }

  #bad(peer: ValidatorId, code: string): void {
    this.#runtime.report({ t: "badPeer", peer, code });
  }

  #forged(peer: ValidatorId, code: string): void {
    this.#conduct.forged(peer);
    this.#bad(peer, code);
  }

  #isMuted(peer: ValidatorId): boolean {
    const isMuted = this.#conduct.isMuted(peer);
    if (isMuted) this.#runtime.dropped("muted");
    return isMuted;
  }

  #dispatch(from: ValidatorId, message: WireMessage): void {
    switch (message.t) {
      case "vote":
        this.#onVote(from, message);
        return;
      case "propose":
        if (!this.#isMuted(from)) this.#onPropose(from, message);
        return;
      case "certificate":
        if (!this.#isMuted(from)) this.#onCertificates(from, [message.certificate]);
        return;
      case "certificates":
        if (!this.#isMuted(from)) this.#onCertificates(from, message.certificates);
        return;
      case "need":
        if (!this.#isWithinRate(from)) return;
        if (message.height < this.#runtime.core.height) this.#peers.help(from, message.height);
        else this.#runtime.step({ ...message, from });
        return;
      case "getBlock":
        if (!this.#isWithinRate(from)) return;
        if (message.height < this.#runtime.core.height) this.#peers.help(from, message.height);
        else this.#runtime.step({ t: "getBlock", from, hash: message.hash });
        return;
      case "block":
        this.#onBlock(message.block);
        return;
      case "final":
        if (!this.#isMuted(from)) this.#onFinal(from, message.block, message.certificate);
        return;
      case "status":
        this.#peers.status(
          from,
          message.ask && this.#isWithinRate(from) ? message : quiet(message),
        );
        return;
      case "getRange":
        if (this.#isWithinRate(from)) this.#peers.serveRange(from, message.from, message.to);
        return;
      case "range":
        this.#peers.range(from, message);
        return;
      case "evidence":
        if (!this.#isMuted(from)) this.#onEvidence(from, message.evidence);
    }
  }

  /** True when the message is for the open height; otherwise it was stashed, answered or dropped. */
  #isForOpenHeight(
    from: ValidatorId,
    message: VoteMessage | ProposeMessage,
    place: string,
  ): boolean {
    const { core } = this.#runtime;
    const { height } = message;
    // A switch decided above us may give higher heights another epoch than we know.
    const isOfEpoch = message.engineEpoch === core.eraAt(height).engineEpoch;
    if (height > core.height) {
      // To act at a height, one needs the finality of the height below.
      if (isMember(this.#runtime, from)) this.#peers.claim(from, height - 1);
      if (height === core.height + 1 && isOfEpoch) this.#keep(from, message, place);
      else this.#runtime.dropped("future");
      return false;
    }
    if (height < core.height) {
      if (height === core.height - 1) {
        if (message.t === "vote") this.#runtime.step({ ...message, t: "seen", from });
        // Votes that crossed the decision are no call for help; repeated ones are.
        const late = this.#late.get(from) ?? new Set();
        this.#late.set(from, late);
        if (!late.has(place) && late.size < LATE_PER_PEER_MAX) {
          late.add(place);
          return false;
        }
      }
      this.#runtime.dropped("stale");
      if (this.#isWithinRate(from)) this.#peers.help(from, height);
      return false;
    }
    if (!isOfEpoch) this.#bad(from, "ORDERING_EPOCH");
    return isOfEpoch && !core.executing;
  }

  #keep(from: ValidatorId, message: VoteMessage | ProposeMessage, place: string): void {
    const reason = this.#tryKeep(from, message, place);
    if (reason !== undefined) this.#runtime.dropped(reason);
  }

  #tryKeep(
    from: ValidatorId,
    message: VoteMessage | ProposeMessage,
    place: string,
  ): DropReason | undefined {
    const { core } = this.#runtime;
    const set = core.setAt(message.height);
    if (!set.members.some((member) => member.id === from)) return "stranger";
    const bytes = message.t === "propose" ? message.block.length : 256;
    if (message.t === "propose") {
      if (message.view > 1) return "future";
      if (!core.mayLead(message.height, message.view, from)) return "unasked";
    } else if (message.view > VIEWS_AHEAD_MAX) {
      return "future";
    }
    const key = `${from}:${place}`;
    if (this.#stashKeys.has(key)) return "duplicate";
    if (this.#stash.length >= STASH_MAX || this.#stashBytes + bytes > STASH_BYTES_MAX)
      return "full";
    this.#stashKeys.add(key);
    this.#stashBytes += bytes;
    this.#stash.push({ from, message });
    return undefined;
  }

  #onVote(from: ValidatorId, m: VoteMessage): void {
    this.#peers.late(from, m);
    if (!this.#isForOpenHeight(from, m, `${m.kind}:${m.view}`)) return;
    const { core } = this.#runtime;
    const signer = core.open.set.members.findIndex((member) => member.id === from);
    if (signer < 0) {
      this.#runtime.dropped("stranger");
      return;
    }
    this.#runtime.step({ t: "seen", from, height: m.height, view: m.view, kind: m.kind });
    if (!core.wantsVote(m.kind, m.height, m.view)) {
      this.#runtime.dropped(m.view > core.view ? "future" : "stale");
      return;
    }
    this.#gate.add({
      kind: m.kind,
      height: m.height,
      view: m.view,
      ...(m.blockHash === undefined ? {} : { blockHash: m.blockHash }),
      ...(m.parentView === undefined ? {} : { parentView: m.parentView }),
      signer,
      signature: m.signature,
    });
  }

  #onPropose(from: ValidatorId, m: ProposeMessage): void {
    if (!this.#isForOpenHeight(from, m, `propose:${m.view}`)) return;
    const { core, options, engineEpoch } = this.#runtime;
    const key = core.open.set.members.find((member) => member.id === from)?.key;
    if (key === undefined) {
      this.#runtime.dropped("stranger");
      return;
    }
    if (!core.wantsProposal(from, m)) {
      this.#runtime.dropped("unasked");
      return;
    }
    if (m.block.length > options.blockBytesMax) {
      this.#bad(from, "ORDERING_BLOCK_TOO_LARGE");
      return;
    }
    const body = bodyFromBytes(m.block);
    const { set } = core.open;
    const message = proposeMessage({
      ledgerId: options.ledgerId,
      engineEpoch,
      height: m.height,
      view: m.view,
      validatorsHash: set.hash,
      blockHash: body.hash,
      parentView: m.parentView,
    });
    verifyAll(this.#runtime, [{ key, message, signature: m.signature }]).then(
      (ok) => {
        if (this.#runtime.stopped) return;
        if (!ok) {
          this.#forged(from, "ORDERING_PROPOSAL_SIGNATURE");
          return;
        }
        // What justifies the proposal first: it may bring us into its view.
        const then = () =>
          this.#runtime.step({
            t: "proposal",
            proposal: {
              from,
              height: m.height,
              view: m.view,
              parentView: m.parentView,
              body,
              signature: m.signature,
            },
          });
        if (m.justification.length === 0) then();
        else this.#onCertificates(from, m.justification, then);
      },
      (error: unknown) => this.#runtime.halt("ORDERING_VERIFY", String(error)),
    );
  }

  #onCertificates(from: ValidatorId, list: readonly Bytes[], then?: () => void): void {
    const { core, options } = this.#runtime;
    const { set, quorum } = core.open;
    const found: { readonly certificate: Certificate; readonly checks: SignatureCheck[] }[] = [];
    for (const bytes of list) {
      const certificate = tryDecodeCertificate(bytes);
      if (certificate === undefined) {
        this.#bad(from, "ORDERING_CERTIFICATE");
        continue;
      }
      if (certificate.height > core.height && isMember(this.#runtime, from)) {
        const final = certificate.kind === "finalize" ? certificate.height : certificate.height - 1;
        this.#peers.claim(from, final);
      }
      if (!core.wantsCertificate(certificate)) {
        this.#runtime.dropped(certificate.height < core.height ? "stale" : "duplicate");
        continue;
      }
      if (certificate.engineEpoch !== this.#runtime.engineEpoch) {
        this.#bad(from, "ORDERING_EPOCH");
        continue;
      }
      const mark = toHex(sha256(bytes));
      if (this.#inCheck.has(mark) && then === undefined) continue;
      if (this.#inCheck.size >= CERTIFICATES_IN_CHECK_MAX) {
        this.#runtime.dropped("full");
        continue;
      }
      const checks = certificateChecks(certificate, set, quorum, options.ledgerId);
      if (checks === undefined) {
        this.#bad(from, "ORDERING_CERTIFICATE");
        continue;
      }
      this.#inCheck.add(mark);
      found.push({ certificate, checks });
    }
    if (found.length === 0) {
      then?.();
      return;
    }
    const all = found.flatMap(({ checks }) => checks);
    options.verify(all).then(
      (verdicts) => {
        if (this.#runtime.stopped) return;
        let at = 0;
        // Lowest view first, so that no view is skipped that could have been entered in order.
        const good: Certificate[] = [];
        for (const { certificate, checks } of found) {
          const mine = verdicts.slice(at, at + checks.length);
          at += checks.length;
          if (mine.length === checks.length && mine.every((verdict) => verdict)) {
            good.push(certificate);
          } else {
            this.#forged(from, "ORDERING_CERTIFICATE_SIGNATURE");
          }
        }
        good.sort((a, b) => a.view - b.view);
        for (const certificate of good) this.#runtime.step({ t: "certificate", certificate });
        this.#inCheck.clear();
        then?.();
      },
      (error: unknown) => this.#runtime.halt("ORDERING_VERIFY", String(error)),
    );
  }

  /** Worth two checks when the accused is a validator now and the offence is not known yet. */
  #onEvidence(from: ValidatorId, bytes: Bytes): void {
    if (!this.#isWithinRate(from)) return;
    const { core, options, engineEpoch } = this.#runtime;
    const evidence = decodeEvidence(bytes);
    const { set } = core.open;
    if (!this.#peers.wantsEvidence(evidence)) {
      this.#runtime.dropped("duplicate");
      return;
    }
    // Of the open height too: it goes into the block above.
    if (evidenceRefusal(evidence, { height: core.height + 1, engineEpoch, set })) return;
    const claims = evidenceClaims(evidence, { set, ledgerId: options.ledgerId });
    verifyAll(this.#runtime, claims!).then(
      (ok) => {
        if (this.#runtime.stopped) return;
        if (ok) this.#peers.evidence(from, evidence);
        else this.#forged(from, "ORDERING_EVIDENCE_SIGNATURE");
      },
      (error: unknown) => this.#runtime.halt("ORDERING_VERIFY", String(error)),
    );
  }

  #onBlock(bytes: Bytes): void {
    const { core, options } = this.#runtime;
    if (bytes.length > options.blockBytesMax || !core.wantsBodies()) {
      this.#runtime.dropped("unasked");
      return;
    }
    const body = bodyFromBytes(bytes);
    if (body.block.header.height === core.height) {
      this.#runtime.step({ t: "body", body });
    }
  }

  /** A decided block of the open height, sent by a peer that is past it. */
  #onFinal(from: ValidatorId, block: Bytes, certificateBytes: Bytes): void {
    const { core, options } = this.#runtime;
    const certificate = tryDecodeCertificate(certificateBytes);
    if (certificate?.kind !== "finalize" || certificate.blockHash === undefined) {
      this.#bad(from, "ORDERING_CERTIFICATE");
      return;
    }
    if (certificate.height !== core.height || core.executing) {
      if (certificate.height > core.height && isMember(this.#runtime, from)) {
        this.#peers.claim(from, certificate.height);
      }
      return;
    }
    if (certificate.engineEpoch !== this.#runtime.engineEpoch) {
      this.#bad(from, "ORDERING_EPOCH");
      return;
    }
    const { set, quorum } = core.open;
    const checks = certificateChecks(certificate, set, quorum, options.ledgerId);
    if (checks === undefined) {
      this.#bad(from, "ORDERING_CERTIFICATE");
      return;
    }
    // The block is not read before the certificate holds: that is the cheaper check.
    verifyAll(this.#runtime, checks).then(
      (ok) => {
        if (this.#runtime.stopped) return;
        if (ok) this.#onFinalBody(from, block, certificate);
        else this.#forged(from, "ORDERING_CERTIFICATE_SIGNATURE");
      },
      (error: unknown) => this.#runtime.halt("ORDERING_VERIFY", String(error)),
    );
  }

  #onFinalBody(from: ValidatorId, block: Bytes, certificate: Certificate): void {
    let body: Body | undefined;
    try {
      body = bodyFromBytes(block);
    } catch (error) {
      if (!(error instanceof HanseError)) throw error;
    }
    if (body === undefined || !equalBytes(body.hash, certificate.blockHash!)) {
      this.#forged(from, "ORDERING_BODY");
      return;
    }
    this.#runtime.step({ t: "decided", body, certificate, log: true });
  }

  /** One request of a peer against its rate. */
  #isWithinRate(from: ValidatorId): boolean {
    const may = this.#conduct.mayAsk(from);
    if (!may) this.#runtime.dropped("rate");
    return may;
  }
}

function quiet(message: Extract<WireMessage, { t: "status" }>): typeof message {
  return message.ask ? { ...message, ask: false } : message;
}

function isMember(runtime: Runtime, id: ValidatorId): boolean {
  return runtime.core.open.set.members.some((member) => member.id === id);
}
