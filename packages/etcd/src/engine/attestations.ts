/**
 * The members' word on blocks that are durable with them, gathered into proofs that outsiders can
 * check (`verifyAttestedProof`). Off the way of a block: nothing waits for it.
 */
import type { Height } from "@hanse/ordering";
import {
  type Attestation,
  type AttestedProof,
  attestationMessage,
  attestedWeightMin,
  type BlockHeader,
  type Bytes,
  equalBytes,
  type Hash,
  quorumWeight,
  sortAttestations,
  toHex,
  type ValidatorSet,
} from "@hanse/protocol";
import type { EtcdEngineOptions } from "./options.ts";

/** Heights whose attestations are gathered at a time; older ones are asked for again. */
export const GATHERED_HEIGHTS_MAX = 256;
/** Heights above our own for which the word of others is kept. */
const AHEAD_MAX = 64;

export interface AttestationWord {
  readonly height: Height;
  readonly blockHash: Hash;
  readonly stateRoot: Hash;
  readonly signature: Bytes;
}

interface Durable {
  readonly header: BlockHeader;
  readonly hash: Hash;
  readonly stateRoot: Hash;
  readonly set: ValidatorSet;
}

interface Gathered {
  durable: Durable | undefined;
  /** Of members, as they came; verified once the height is durable here. */
  readonly words: Map<string, AttestationWord>;
  readonly verified: Map<string, Attestation>;
  proven: boolean;
}

export interface AttestationsOptions
  extends Pick<EtcdEngineOptions, "ledgerId" | "sign" | "verify"> {
  readonly self: string;
  readonly engineEpoch: number;
  /** Enough weight attests; resolves when the proof is durable. */
  readonly prove: (proof: AttestedProof) => Promise<void>;
  /** A member attests something else than what this node has. */
  readonly onContradiction: (message: string) => void;
  readonly onFailure: (error: unknown) => void;
}

/** Vote weight that a proof gathers: what every reader of proofs accepts for this set. */
export function proofWeightMin(set: ValidatorSet): number {
  return Math.max(attestedWeightMin(set), quorumWeight(set));
}

export class Attestations {
  readonly #options: AttestationsOptions;
  readonly #heights = new Map<Height, Gathered>();
  #top: Height = 0;

  constructor(options: AttestationsOptions) {
    this.#options = options;
  }

  /** A block is durable here: our own word on it, and what others said already. */
  addDurable(durable: Durable, proven: boolean): AttestationWord {
    const { height } = durable.header;
    const gathered = this.#at(height);
    this.#top = Math.max(this.#top, height);
    gathered.durable = durable;
    gathered.proven ||= proven;
    const word = this.sign(durable);
    const own = { member: this.#options.self, signature: word.signature };
    if (durable.set.members.some(({ id }) => id === own.member)) {
      gathered.verified.set(own.member, own);
    }
    for (const [member, said] of gathered.words) this.#consider(gathered, member, said);
    gathered.words.clear();
    this.#proveIfEnough(gathered);
    this.#forgetOldest();
    return word;
  }

  sign({ header, hash, stateRoot }: Omit<Durable, "set">): AttestationWord {
    const { ledgerId, engineEpoch, sign } = this.#options;
    const { height } = header;
    const message = attestationMessage({
      ledgerId,
      engineEpoch,
      height,
      blockHash: hash,
      stateRoot,
    });
    return { height, blockHash: hash, stateRoot, signature: sign(message) };
  }

  /** What a member says. */
  receive(member: string, word: AttestationWord): void {
    if (word.height > this.#top + AHEAD_MAX) return;
    const known = this.#heights.get(word.height);
    if (known === undefined && word.height <= this.#top) return;
    const gathered = known ?? this.#at(word.height);
    if (gathered.proven) return;
    if (gathered.durable === undefined) gathered.words.set(member, word);
    else this.#consider(gathered, member, word);
  }

  /** Heights that are durable here and not proven, at most `max` from the lowest. */
  unproven(max: number): Height[] {
    const found: Height[] = [];
    for (const [height, { durable, proven }] of this.#heights) {
      if (durable !== undefined && !proven) found.push(height);
    }
    return found.sort((a, b) => a - b).slice(0, max);
  }

  #at(height: Height): Gathered {
    const known = this.#heights.get(height);
    if (known !== undefined) return known;
    const fresh: Gathered = {
      durable: undefined,
      words: new Map(),
      verified: new Map(),
      proven: false,
    };
    this.#heights.set(height, fresh);
    return fresh;
  }

  #forgetOldest(): void {
    if (this.#heights.size <= GATHERED_HEIGHTS_MAX + AHEAD_MAX) return;
    for (const height of [...this.#heights.keys()].sort((a, b) => a - b)) {
      if (this.#heights.size <= GATHERED_HEIGHTS_MAX) return;
      this.#heights.delete(height);
    }
  }

  #consider(gathered: Gathered, member: string, word: AttestationWord): void {
    const { durable } = gathered;
    if (durable === undefined || gathered.proven || gathered.verified.has(member)) return;
    const key = durable.set.members.find(({ id }) => id === member)?.key;
    if (key === undefined) return;
    const { ledgerId, engineEpoch, verify, onContradiction, onFailure } = this.#options;
    const { height, blockHash, stateRoot, signature } = word;
    const message = attestationMessage({ ledgerId, engineEpoch, height, blockHash, stateRoot });
    verify([{ key, message, signature }]).then(([holds]) => {
      if (holds !== true) return;
      if (!equalBytes(blockHash, durable.hash) || !equalBytes(stateRoot, durable.stateRoot)) {
        onContradiction(
          `${member} attests block ${toHex(blockHash)} and state ${toHex(stateRoot)} at height ${height}; ` +
            `this node has ${toHex(durable.hash)} and ${toHex(durable.stateRoot)}`,
        );
        return;
      }
      gathered.verified.set(member, { member, signature });
      this.#proveIfEnough(gathered);
    }, onFailure);
  }

  #proveIfEnough(gathered: Gathered): void {
    const { durable } = gathered;
    if (durable === undefined || gathered.proven) return;
    let weight = 0;
    for (const { id, vote } of durable.set.members) if (gathered.verified.has(id)) weight += vote;
    if (weight < proofWeightMin(durable.set)) return;
    gathered.proven = true;
    const { header, stateRoot } = durable;
    const attestations = sortAttestations(gathered.verified.values());
    this.#options
      .prove({ kind: "attested", header, stateRoot, attestations })
      .catch(this.#options.onFailure);
  }
}
