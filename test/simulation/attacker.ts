/**
 * A scripted liar: it follows the ledger with the production engine, so that it knows what is
 * going on, and abuses its key and its links in every way that spec/ordering.md names.
 */
import {
  channelOf,
  createEvidence,
  decodeMessage,
  encodeEvidence,
  encodeMessage,
  hashLastCert,
  proposeMessage,
  type Transport,
  type ValidatorPolicy,
  type WireMessage,
} from "@hanse/ordering";
import {
  type Block,
  type Certificate,
  decodeBlock,
  encodeBlock,
  encodeCertificate,
  evidenceRoot,
  type Hash,
  hashHeader,
  indicesToBitmap,
  transactionRoot,
  utf8,
  type ValidatorSet,
  type VoteKind,
  voteMessage,
  ZERO_HASH,
} from "@hanse/protocol";
import type { SimulatedKey } from "./keys.ts";
import type { LedgerSetup } from "./ledger.ts";
import type { SimulatedNode } from "./node.ts";
import type { Random } from "./random.ts";
import type { World } from "./world.ts";

export interface AttackerParts {
  readonly node: SimulatedNode;
  readonly transport: Transport;
  readonly key: SimulatedKey;
  readonly ledger: LedgerSetup;
  readonly policy: ValidatorPolicy;
  readonly random: Random;
  readonly world: World;
}

/** Messages kept to be sent again when they are stale. */
const MEMORY_MAX = 40;

export function corruptTransport(parts: AttackerParts): Transport {
  const attacker = new Attacker(parts);
  return attacker.transport;
}

class Attacker {
  readonly #parts: AttackerParts;
  readonly #plain: Transport;
  readonly #random: Random;
  readonly #memory: Uint8Array[] = [];
  /** Blocks seen per height, to lie about. */
  readonly #blocks = new Map<number, Block[]>();
  readonly #done = new Set<string>();
  #handler: (from: string, channel: "consensus" | "sync" | "transactions", b: Uint8Array) => void =
    () => {};

  constructor(parts: AttackerParts) {
    this.#parts = parts;
    this.#plain = parts.transport;
    this.#random = parts.random.fork();
    this.#harass();
  }

  get transport(): Transport {
    const plain = this.#plain;
    return {
      self: plain.self,
      send: (to, channel, bytes) => this.#outgoing([to], channel, bytes),
      broadcast: (channel, bytes) => this.#outgoing(plain.peers(), channel, bytes),
      onMessage: (handler) => {
        this.#handler = handler;
        plain.onMessage((from, channel, bytes) => {
          this.#incoming(from, bytes);
          this.#handler(from, channel, bytes);
        });
      },
      onPeer: (handler) => plain.onPeer(handler),
      peers: () => plain.peers(),
    };
  }

  #some(): string[] {
    return this.#plain.peers().filter(() => this.#random.chance(0.5));
  }

  #tell(to: readonly string[], message: WireMessage): void {
    const bytes = encodeMessage(message);
    for (const id of to) this.#plain.send(id, channelOf(message), bytes);
  }

  #outgoing(to: readonly string[], channel: "consensus" | "sync" | "transactions", b: Uint8Array) {
    const message = decodeMessage(b);
    this.#remember(b);
    if (message.t === "propose") {
      const block = decodeBlock(message.block);
      this.#saw(block);
      if (message.parentView < 0 && this.#random.chance(0.7)) {
        // Two blocks for one view, each to some.
        const other = this.#variant(block);
        const first = to.filter(() => this.#random.chance(0.5));
        for (const id of first) this.#plain.send(id, channel, b);
        this.#propose(to, block.header.height, message.view, -1, other, message.justification);
        return;
      }
    }
    const withheld = (message.t === "block" || message.t === "final") && this.#random.chance(0.5);
    if (withheld) return;
    if (message.t === "range" && this.#random.chance(0.6)) {
      this.#tell(to, this.#forgeRange(message));
      return;
    }
    if (message.t === "status" && this.#random.chance(0.5)) {
      const lie = this.#random.pick([0, message.height + 3, message.height + 1_000_000]);
      this.#tell(to, { ...message, height: lie });
      return;
    }
    for (const id of to) if (!this.#random.chance(0.1)) this.#plain.send(id, channel, b);
  }

  #incoming(_from: string, bytes: Uint8Array): void {
    let message: WireMessage;
    try {
      message = decodeMessage(bytes);
    } catch {
      return;
    }
    if (message.t === "certificate" || message.t === "propose") this.#remember(bytes);
    if (message.t === "propose") {
      const block = decodeBlock(message.block);
      this.#saw(block);
      const hash = hashHeader(block.header);
      this.#voteForEverything(block, message.height, message.view, hash, message.parentView);
      this.#outOfTurn(block, message.height, message.view);
      return;
    }
    if (message.t === "vote") {
      const known = this.#blocks.get(message.height)?.[0];
      if (known === undefined) return;
      if (message.kind !== "nullify" && message.blockHash !== undefined) {
        const pv = message.parentView ?? -1;
        this.#voteForEverything(known, message.height, message.view, message.blockHash, pv);
      } else {
        this.#vote(known, "nullify", message.height, message.view, undefined, undefined);
      }
      this.#unjustified(known, message.height, message.view + 1);
      return;
    }
    if (message.t === "getRange" && this.#random.chance(0.3)) {
      // Asked or not: a range out of nothing.
      this.#tell(
        [_from],
        this.#forgeRange({
          t: "range",
          from: message.from,
          blocks: [],
          certificate: new Uint8Array(0),
        }),
      );
    }
  }

  #remember(bytes: Uint8Array): void {
    this.#memory.push(bytes);
    if (this.#memory.length > MEMORY_MAX) this.#memory.shift();
  }

  #saw(block: Block): void {
    const { height } = block.header;
    const list = this.#blocks.get(height) ?? [];
    if (list.length < 4) list.push(block);
    this.#blocks.set(height, list);
    this.#blocks.delete(height - 4);
  }

  #once(what: string): boolean {
    if (this.#done.has(what)) return false;
    this.#done.add(what);
    return true;
  }

  /** Another block for the same place: mostly valid, sometimes not. */
  #variant(block: Block): Block {
    const { header } = block;
    const draw = this.#random.unit();
    const transactions = draw < 0.4 ? [] : block.transactions;
    const twice = draw > 0.9 ? [utf8("transaction 0"), ...transactions] : transactions;
    const evidence = this.#random.chance(0.2) ? [this.#slander(block)] : block.evidence;
    return {
      ...block,
      transactions: twice,
      evidence,
      header: {
        ...header,
        evidenceHash: evidenceRoot(evidence),
        time: header.time + this.#random.between(1, 40),
        proposer: this.#parts.node.id,
        txCount: twice.length,
        txRoot: transactionRoot(twice),
        prevStateRoot: draw > 0.75 && draw < 0.9 ? ZERO_HASH : header.prevStateRoot,
      },
    };
  }

  /** Well-formed evidence against anybody, with signatures out of nothing. */
  #slander(block: Block): Uint8Array {
    const { header } = block;
    const { members } = this.#set(header.height);
    const place = { kind: "finalize" as const, height: Math.max(1, header.height - 1), view: 0 };
    const message = () => ({
      ...place,
      blockHash: this.#random.bytes(32),
      signature: this.#random.bytes(64),
    });
    const subject = {
      engineEpoch: 0,
      validatorsHash: header.validatorsHash,
      validator: this.#random.pick(members).id,
    };
    return encodeEvidence(createEvidence(subject, message(), message()));
  }

  #propose(
    to: readonly string[],
    height: number,
    view: number,
    parentView: number,
    block: Block,
    justification: readonly Uint8Array[],
  ): void {
    const signature = this.#parts.key.sign(
      proposeMessage({
        ledgerId: this.#parts.ledger.ledgerId,
        engineEpoch: 0,
        height,
        view,
        validatorsHash: block.header.validatorsHash,
        blockHash: hashHeader(block.header),
        parentView,
      }),
    );
    this.#tell(to, {
      t: "propose",
      engineEpoch: 0,
      height,
      view,
      parentView,
      block: encodeBlock(block),
      justification,
      signature,
    });
  }

  /** A fresh block in our view although the views below forbid it. */
  #unjustified(block: Block, height: number, view: number): void {
    if (!this.#leads(height, view) || !this.#random.chance(0.6)) return;
    if (!this.#once(`unjustified ${height} ${view}`)) return;
    this.#propose(this.#plain.peers(), height, view, -1, this.#variant(block), []);
  }

  #outOfTurn(block: Block, height: number, view: number): void {
    if (this.#leads(height, view) || !this.#random.chance(0.4)) return;
    if (!this.#once(`turn ${height} ${view}`)) return;
    this.#propose(this.#some(), height, view, -1, this.#variant(block), []);
  }

  #leads(height: number, view: number): boolean {
    const set = this.#set(height);
    return this.#parts.policy.leader(set, height, view) === this.#parts.node.id;
  }

  #set(_height: number): ValidatorSet {
    return this.#parts.ledger.genesisSet;
  }

  #voteForEverything(b: Block, height: number, view: number, hash: Hash, pv: number): void {
    this.#vote(b, "notarize", height, view, hash, pv);
    this.#vote(b, "finalize", height, view, hash, undefined);
    if (this.#random.chance(0.5)) this.#vote(b, "nullify", height, view, undefined, undefined);
  }

  #vote(
    like: Block,
    kind: VoteKind,
    height: number,
    view: number,
    blockHash: Hash | undefined,
    parentView: number | undefined,
  ): void {
    if (!this.#random.chance(0.5)) return;
    const subject = {
      kind,
      ledgerId: this.#parts.ledger.ledgerId,
      engineEpoch: 0,
      height,
      view,
      validatorsHash: like.header.validatorsHash,
      ...(blockHash === undefined ? {} : { blockHash }),
      ...(parentView === undefined ? {} : { parentView }),
    };
    const signature = this.#random.chance(0.05)
      ? this.#random.bytes(64)
      : this.#parts.key.sign(voteMessage(subject));
    this.#tell(this.#some(), {
      t: "vote",
      kind,
      engineEpoch: 0,
      height,
      view,
      ...(blockHash === undefined ? {} : { blockHash }),
      ...(parentView === undefined ? {} : { parentView }),
      signature,
    });
  }

  /** Our own history with the transactions taken out and certificates that look complete. */
  #forgeRange(real: Extract<WireMessage, { t: "range" }>): WireMessage {
    const { heights } = this.#parts.node.store;
    const blocks: Uint8Array[] = [];
    let parent: Hash | undefined;
    let certificate: Uint8Array = new Uint8Array(0);
    for (const stored of heights.slice(real.from - 1, real.from + 9)) {
      const { header } = stored.block;
      const lastCert = parent === undefined ? stored.block.lastCert : certificate;
      const block: Block = {
        ...stored.block,
        lastCert,
        transactions: [],
        header: {
          ...header,
          txCount: 0,
          txRoot: transactionRoot([]),
          parentHash: parent ?? header.parentHash,
          lastCertHash: hashLastCert(lastCert),
        },
      };
      parent = hashHeader(block.header);
      blocks.push(encodeBlock(block));
      const size = this.#set(header.height).members.length;
      const all = Array.from({ length: size }, (_, i) => i);
      const forged: Certificate = {
        kind: "finalize",
        engineEpoch: 0,
        height: header.height,
        view: 0,
        validatorsHash: header.validatorsHash,
        blockHash: parent,
        signers: indicesToBitmap(all, size),
        signatures: all.map(() => this.#random.bytes(64)),
      };
      certificate = encodeCertificate(forged);
    }
    return { t: "range", from: real.from, blocks, certificate };
  }

  /** Garbage, bent frames and old news, for as long as this process lives. */
  #harass(): void {
    this.#parts.world.after(this.#random.between(50, 1_500), () => {
      if (!this.#parts.node.up) return;
      const draw = this.#random.unit();
      const old = this.#memory.length > 0 ? this.#random.pick(this.#memory) : undefined;
      for (const id of this.#some()) {
        if (draw < 0.3 || old === undefined) {
          this.#plain.send(id, "consensus", this.#random.bytes(this.#random.between(0, 200)));
        } else if (draw < 0.6) {
          const bent = old.slice();
          bent[this.#random.between(0, bent.length - 1)]! ^= 1 << this.#random.between(0, 7);
          this.#plain.send(id, "consensus", bent);
        } else {
          this.#plain.send(id, "consensus", old);
        }
      }
      this.#harass();
    });
  }
}
