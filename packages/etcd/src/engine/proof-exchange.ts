/** Members tell each other what they attest, and ask again for words that never came. */
import type { AppInfo, Height } from "@hanse/ordering";
import { type Bytes, decodeBlock, hashHeader, type ValidatorSet } from "@hanse/protocol";
import { ATTESTATIONS_ASKED_MAX, type WireMessage } from "../wire/messages.ts";
import { type Attestations, type AttestationWord, GATHERED_HEIGHTS_MAX } from "./attestations.ts";
import type { EtcdEngineOptions, EtcdTuning } from "./options.ts";
import type { DurableBlock } from "./progress.ts";

/** Bytes of blocks that are read at a time to answer a question. */
const ANSWER_BYTES = 1024 * 1024;

export interface ProofExchangeOptions {
  readonly engine: EtcdEngineOptions;
  readonly tuning: EtcdTuning;
  readonly attestations: Attestations;
  readonly send: (to: string | "all", message: WireMessage) => void;
}

export class ProofExchange {
  readonly #options: ProofExchangeOptions;
  #askedAt = 0;

  constructor(options: ProofExchangeOptions) {
    this.#options = options;
  }

  /** Attests again what no proof was stored for before the last stop. */
  async recall(info: AppInfo, setAt: (height: Height) => ValidatorSet): Promise<void> {
    const { engine, attestations } = this.#options;
    const { blocks, base = 0 } = engine;
    let { stateRoot } = info;
    const least = Math.max(base, info.height - GATHERED_HEIGHTS_MAX);
    for (let { height } = info; height > least; height--) {
      const [stored] = await blocks.blocks(height, height, 1);
      if (stored === undefined || stored.certificate.length > 0) return;
      const { header } = decodeBlock(stored.bytes);
      const hash = hashHeader(header);
      attestations.addDurable({ header, hash, stateRoot, set: setAt(height) }, false);
      stateRoot = header.prevStateRoot;
    }
  }

  onDurable(block: DurableBlock): void {
    const { engine, attestations, send } = this.#options;
    const word = attestations.addDurable(block, block.proven);
    const isMember = block.set.members.some(({ id }) => id === engine.transport.self);
    if (isMember) send("all", { t: "attest", ...word });
  }

  receive(member: string, word: AttestationWord): void {
    this.#options.attestations.receive(member, word);
  }

  /** Asks for words that are missing, e.g. because their member was away. */
  ask(committed: Height): void {
    const { engine, tuning, attestations, send } = this.#options;
    const now = engine.clock.now();
    if (now - this.#askedAt < 2 * tuning.resendMs) return;
    this.#askedAt = now;
    const [from] = attestations.unproven(1);
    if (from === undefined) return;
    const to = Math.min(from + ATTESTATIONS_ASKED_MAX - 1, committed);
    if (to >= from) send("all", { t: "getAttestations", from, to });
  }

  /** Our word on heights that are durable here. */
  async answer(peer: string, from: Height, to: Height): Promise<void> {
    const { engine, attestations, send } = this.#options;
    const info = await engine.app.info();
    let height = from;
    while (height <= Math.min(to, info.height)) {
      const upTo = Math.min(to + 1, info.height);
      const found = await engine.blocks.blocks(height, upTo, ANSWER_BYTES);
      const headers = found.map(({ bytes }) => decodeBlock(bytes).header);
      const first = height;
      for (const [i, header] of headers.entries()) {
        if (header.height > to) return;
        const isTip = header.height === info.height;
        // The last one read may lack the header above it: it is read again as the first one.
        if (headers[i + 1] === undefined && !isTip && i > 0) break;
        const above = headers[i + 1]?.prevStateRoot;
        const stateRoot = isTip
          ? info.stateRoot
          : (above ?? (await this.#rootAfter(header.height)));
        if (stateRoot === undefined) return;
        const word = attestations.sign({ header, hash: hashHeader(header), stateRoot });
        send(peer, { t: "attest", ...word });
        height = header.height + 1;
      }
      if (height === first) return;
    }
  }

  async #rootAfter(height: Height): Promise<Bytes | undefined> {
    const [above] = await this.#options.engine.blocks.blocks(height + 1, height + 1, 1);
    return above && decodeBlock(above.bytes).header.prevStateRoot;
  }
}
