/** Everything that must hold at every moment of a run; the first breach ends it. */
import {
  createPolicy,
  type DecidedBlock,
  decodeEvidence,
  decodeMessage,
  type EngineEvent,
  type ExecutionResult,
  encodeRecovery,
  offenceKey,
  type RecoveryDocument,
  type SignPlace,
  type ValidatorPolicy,
  verifyEvidence,
  type WireMessage,
} from "@hanse/ordering";
import {
  type BlockHeader,
  bitmapToIndices,
  certificateOf,
  decodeBlock,
  equalBytes,
  fromUtf8,
  hashHeader,
  quorumWeight,
  toHex,
  type ValidatorSet,
  voteMessage,
  ZERO_HASH,
} from "@hanse/protocol";
import type { KeyRing } from "./keys.ts";
import { type Change, govern, type LedgerSetup, nextStateRoot } from "./ledger.ts";

export class Violation extends Error {}

interface DecidedHeight {
  readonly hash: string;
  readonly stateRoot: Uint8Array;
  readonly transactions: number;
  /** Undefined at genesis. */
  readonly header: BlockHeader | undefined;
}

export class Checker {
  readonly #setup: LedgerSetup;
  readonly #keys: KeyRing;
  readonly #honest: (id: string) => boolean;
  /** Index = height; 0 is genesis. */
  readonly decided: DecidedHeight[] = [
    { hash: "", stateRoot: ZERO_HASH, transactions: 0, header: undefined },
  ];
  readonly #sets: ValidatorSet[];
  readonly included = new Map<string, number>();
  /** On the ledger. */
  readonly offences = new Set<string>();
  /** id:epoch:height:view -> what an honest validator signed there. */
  readonly #signed = new Map<string, Map<string, string>>();
  /** height:kind:view:subject -> who signed it. */
  readonly #votes = new Map<string, Set<string>>();
  /** id:epoch:height:kind:view:subject */
  readonly #sentVotes = new Set<string>();
  readonly #headers = new Map<string, BlockHeader>();
  #change: Change | undefined;
  /** Epoch and policy from these heights on. */
  readonly #eras: {
    readonly height: number;
    readonly epoch: number;
    readonly policy: ValidatorPolicy;
  }[];
  readonly #highestVote = new Map<string, number>();
  /** No new vote at or below this height by a validator that lost its memory. */
  readonly #forgotten = new Map<string, number>();
  #lastBytes: Uint8Array | undefined;
  #recovery: { readonly height: number; readonly bytes: Uint8Array } | undefined;
  violation: string | undefined;
  evidence = 0;

  constructor(setup: LedgerSetup, keys: KeyRing, honest: (id: string) => boolean) {
    this.#setup = setup;
    this.#keys = keys;
    this.#honest = honest;
    this.#eras = [{ height: 1, epoch: 0, policy: setup.policy }];
    this.#sets = [setup.genesisSet, setup.genesisSet, setup.genesisSet];
  }

  get height(): number {
    return this.decided.length - 1;
  }

  /** The set that governance put in force at a height, as far as it is decided. */
  setAt(height: number): ValidatorSet {
    return this.#sets[height] ?? this.#sets.at(-1)!;
  }

  fail(message: string): void {
    this.violation ??= message;
  }

  /** A message on the wire. */
  sent(id: string, bytes: Uint8Array, halted: boolean): void {
    if (bytes === this.#lastBytes) return;
    this.#lastBytes = bytes;
    let message: WireMessage;
    try {
      message = decodeMessage(bytes);
    } catch {
      return;
    }
    if (message.t === "propose") {
      try {
        const { header } = decodeBlock(message.block);
        this.#headers.set(toHex(hashHeader(header)), header);
      } catch {
        // An attacker's block.
      }
    }
    if (message.t === "vote") this.#voted(id, message);
    if (halted && (message.t === "vote" || message.t === "propose") && this.#honest(id)) {
      this.fail(`${id} sent a ${message.t} after it had stopped for good`);
    }
  }

  #voted(id: string, m: Extract<WireMessage, { t: "vote" }>): void {
    const hash = m.blockHash === undefined ? "" : toHex(m.blockHash);
    const subject = m.parentView === undefined ? hash : `${hash}/${m.parentView}`;
    const key = `${m.height}:${m.kind}:${m.view}:${subject}`;
    if (!this.#honest(id)) return;
    // A recovery votes again, in its own epoch, where the one before had begun to.
    const said = `${id}:${m.engineEpoch}:${key}`;
    const isNew = !this.#sentVotes.has(said);
    this.#sentVotes.add(said);
    const at = `height ${m.height}, view ${m.view}`;
    const place = `${id}:${m.engineEpoch}:${m.height}:${m.view}`;
    let signed = this.#signed.get(place);
    if (signed === undefined) {
      signed = new Map();
      this.#signed.set(place, signed);
    }
    const before = signed.get(m.kind);
    if (before !== undefined && before !== subject) {
      this.fail(`${id} sent two different ${m.kind} votes at ${at}`);
    }
    signed.set(m.kind, subject);
    if (signed.has("finalize") && signed.has("nullify")) {
      this.fail(`${id} finalized and nullified at ${at}`);
    }
    if (!isNew) return;
    if (m.height <= (this.#forgotten.get(id) ?? -1)) {
      this.fail(`${id} voted at ${at} although it may have forgotten a vote there`);
    }
    this.#highestVote.set(id, Math.max(m.height, this.#highestVote.get(id) ?? 0));
    const isOfEpoch = m.engineEpoch === this.#eraAt(m.height).epoch;
    if (m.kind === "notarize" && isOfEpoch) this.#isJustified(id, m, hash);
  }

  #isJustified(id: string, m: Extract<WireMessage, { t: "vote" }>, hash: string): void {
    if (m.height > this.#sets.length - 1) return;
    const set = this.setAt(m.height);
    const quorum = quorumWeight(set);
    const pv = m.parentView!;
    const weight = (key: string) => {
      const voters = this.#votes.get(`${m.height}:${key}`);
      let sum = 0;
      for (const member of set.members) {
        // A liar's vote may stand in any certificate.
        if (voters?.has(member.id) || !this.#honest(member.id)) sum += member.vote;
      }
      return sum;
    };
    for (let v = pv + 1; v < m.view; v++) {
      if (weight(`nullify:${v}:`) < quorum) {
        this.fail(
          `${id} notarized at height ${m.height}, view ${m.view} without nullification ${v}`,
        );
      }
    }
    if (pv < 0) {
      const header = this.#headers.get(hash);
      if (header !== undefined && !this.#isDue(header, m.view)) {
        this.fail(`${id} notarized a block of ${header.proposer} out of turn in view ${m.view}`);
      }
      return;
    }
    let notarized = false;
    for (let origin = -1; origin < pv; origin++) {
      if (weight(`notarize:${pv}:${hash}/${origin}`) >= quorum) notarized = true;
    }
    if (!notarized) {
      this.fail(`${id} notarized at height ${m.height} what view ${pv} did not notarize`);
    }
  }

  /** The epoch and the policy that governance put in force at a height. */
  #eraAt(height: number) {
    return this.#eras.findLast((era) => era.height <= height)!;
  }

  /** Who leads a view by the policy in force at a height. */
  leaderOf(height: number, view: number): string {
    return this.#eraAt(height).policy.leader(this.setAt(height), height, view);
  }

  #isDue(header: BlockHeader, view: number): boolean {
    const { height, proposer } = header;
    const { policy } = this.#eraAt(height);
    const set = this.setAt(height);
    const below = this.decided[height - 1];
    if (policy.mayPropose === undefined || below === undefined) {
      return proposer === policy.leader(set, height, view) || below === undefined;
    }
    const parent = below.header ?? { height: 0, time: 0, policyExtra: new Uint8Array(0) };
    return policy.mayPropose(set, header, parent, view);
  }

  /**
   * The organizations go on above a height by this document. What none of the reachable members
   * holds is given up with the members that are gone.
   * @returns whether the ended epoch may have decided more than the document knows of.
   */
  recovered(document: RecoveryDocument): boolean {
    const { height, set, engineEpoch, policy, policyParams } = document;
    const next = height + 1;
    const quorum = quorumWeight(this.setAt(next));
    const voted = (key: string) => {
      const voters = this.#votes.get(key)!;
      const weights = this.setAt(next).members.map(({ id, vote }) => (voters.has(id) ? vote : 0));
      return weights.reduce((sum, weight) => sum + weight, 0);
    };
    const mayBeMore =
      this.height > height ||
      [...this.#votes.keys()].some(
        (key) => key.startsWith(`${next}:finalize:`) && voted(key) >= quorum,
      );
    this.decided.length = next;
    for (const [text, at] of this.included) if (at > height) this.included.delete(text);
    this.#sets.length = next;
    this.#sets.push(set, set);
    this.#eras.push({
      height: next,
      epoch: engineEpoch,
      policy: createPolicy(policy, policyParams),
    });
    this.#recovery = { height, bytes: encodeRecovery(document) };
    return mayBeMore;
  }

  forgot(id: string): void {
    this.#forgotten.set(id, this.#highestVote.get(id) ?? 0);
  }

  /** An honest signer made a signature; it may reach others in a certificate before by itself. */
  signing(id: string, syncing: boolean, at: SignPlace): void {
    if (syncing) this.fail(`${id} signed at height ${at.height} while it was behind`);
    const hash = at.blockHash === undefined ? "" : toHex(at.blockHash);
    const subject = at.parentView === undefined ? hash : `${hash}/${at.parentView}`;
    const key = `${at.height}:${at.kind}:${at.view}:${subject}`;
    let voters = this.#votes.get(key);
    if (voters === undefined) {
      voters = new Set();
      this.#votes.set(key, voters);
    }
    voters.add(id);
  }

  /** `node` tells what its disk did to it: a stop for a failed disk is what must happen. */
  reported(
    id: string,
    event: EngineEvent,
    node: { readonly damaged: boolean; readonly disk: { readonly failed: boolean } },
  ): void {
    if (event.t === "evidence") {
      this.evidence++;
      if (this.#honest(event.evidence.validator)) {
        this.fail(`evidence ${event.evidence.kind} names the honest ${event.evidence.validator}`);
      }
    }
    if (!this.#honest(id)) return;
    if (event.t === "halted" && !node.disk.failed) {
      this.fail(`${id} halted: ${event.code} ${event.message}`);
    }
    if (event.t === "quarantine" && !node.damaged) {
      this.fail(`${id} went into quarantine without damage: ${event.reason}`);
    }
  }

  executed(id: string, d: DecidedBlock, result: ExecutionResult): void {
    if (!this.#honest(id)) return;
    const { header } = d.block;
    const { height } = header;
    const hash = toHex(d.hash);
    this.#isFinal(id, d);
    const known = this.decided[height];
    if (known !== undefined) {
      if (known.hash !== hash) this.fail(`height ${height} was decided twice (seen by ${id})`);
      if (!equalBytes(known.stateRoot, result.stateRoot)) {
        this.fail(`${id} has another state root after height ${height}`);
      }
      return;
    }
    if (height !== this.decided.length) {
      this.fail(`${id} executed height ${height} before ${this.decided.length}`);
      return;
    }
    const parent = this.decided[height - 1]!;
    const parentHash = height === 1 ? toHex(this.#setup.ledgerId) : parent.hash;
    if (toHex(header.parentHash) !== parentHash) this.fail(`block ${height} has another parent`);
    if (!equalBytes(header.prevStateRoot, parent.stateRoot)) {
      this.fail(`block ${height} certifies a wrong state root`);
    }
    const set = this.setAt(height);
    if (!equalBytes(header.validatorsHash, set.hash)) {
      this.fail(`block ${height} was decided by another set than governance put in force`);
    }
    if (!equalBytes(header.nextValidatorsHash, this.setAt(height + 1).hash)) {
      this.fail(`block ${height} announces another set than governance put in force`);
    }
    if (!set.members.some((member) => member.id === header.proposer)) {
      this.fail(`block ${height} was proposed by a stranger`);
    }
    let { evidence } = d.block;
    if (this.#recovery?.height === height - 1) {
      if (!equalBytes(evidence[0] ?? ZERO_HASH, this.#recovery.bytes)) {
        this.fail(`block ${height} begins an epoch without its recovery document`);
      }
      evidence = evidence.slice(1);
    }
    for (const bytes of evidence) this.#accused(height, bytes);
    if (header.engineEpoch !== this.#eraAt(height).epoch) {
      this.fail(`block ${height} is of epoch ${header.engineEpoch}`);
    }
    for (const bytes of d.block.transactions) {
      const transaction = fromUtf8(bytes);
      if (this.included.has(transaction)) this.fail(`${transaction} was committed twice`);
      this.included.set(transaction, height);
    }
    const before = { set: this.setAt(height + 1), change: this.#change };
    const governed = govern(this.#setup, before, height, d.block.transactions);
    this.#sets[height + 2] = governed.set;
    this.#change = governed.change;
    if (governed.engineSwitch !== undefined) {
      const { at, engineEpoch, policy, policyParams } = governed.engineSwitch;
      const rule = createPolicy(policy, policyParams);
      this.#eras.push({ height: at + 1, epoch: engineEpoch, policy: rule });
    }
    this.decided.push({
      hash,
      stateRoot: nextStateRoot(parent.stateRoot, d.block.transactions),
      transactions: d.block.transactions.length,
      header,
    });
  }

  /** Evidence on the ledger proves itself, once per offence, and hits nobody who is honest. */
  #accused(height: number, bytes: Uint8Array): void {
    const evidence = decodeEvidence(bytes);
    const { validator } = evidence;
    if (this.#honest(validator)) this.fail(`block ${height} accuses the honest ${validator}`);
    const trust = { set: this.setAt(evidence.height), ledgerId: this.#setup.ledgerId };
    const verdict = verifyEvidence(bytes, trust, (check) => this.#keys.verify(check));
    if (!verdict.ok) this.fail(`evidence in block ${height}: ${verdict.reason}`);
    const key = offenceKey(evidence);
    if (this.offences.has(key)) this.fail(`block ${height} repeats the offence ${key}`);
    this.offences.add(key);
  }

  /** What a light client would check. */
  #isFinal(id: string, d: DecidedBlock): void {
    const c = certificateOf(d.proof);
    const { height } = d.block.header;
    const set = this.setAt(height);
    const wrong = (what: string) =>
      this.fail(`${id} took height ${height} for final, but its certificate ${what}`);
    if (c.kind !== "finalize" || c.height !== height) wrong("is of another kind");
    if (c.engineEpoch !== d.block.header.engineEpoch) wrong("is of another epoch");
    if (c.blockHash === undefined || !equalBytes(c.blockHash, d.hash)) wrong("names another block");
    if (!equalBytes(c.validatorsHash, set.hash)) wrong("is of another set");
    const message = voteMessage({ ...c, ledgerId: this.#setup.ledgerId });
    let weight = 0;
    for (const [i, index] of bitmapToIndices(c.signers).entries()) {
      const member = set.members[index];
      const signature = c.signatures[i];
      if (member === undefined || signature === undefined) continue;
      if (this.#keys.verify({ key: member.key, message, signature })) weight += member.vote;
    }
    if (weight < quorumWeight(set)) wrong(`has weight ${weight}`);
  }
}
