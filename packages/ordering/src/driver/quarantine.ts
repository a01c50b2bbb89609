/**
 * A validator that lost its memory of what it signed: it observes, learns from a quorum of others
 * which heights may hold its votes, and votes again only above them (spec/ordering.md, section
 * "Quarantine").
 */
import { quorumWeight, type ValidatorId } from "@hanse/protocol";
import type { Height } from "../engine/interfaces.ts";
import type { Runtime } from "./runtime.ts";

const ASK_EVERY_MS = 1_000;

export class Quarantine {
  readonly #runtime: Runtime;
  readonly #release: (voteFrom: Height) => void;
  readonly #answers = new Map<ValidatorId, Height>();
  #nonce: number;
  #timer: { cancel(): void } | undefined;

  constructor(runtime: Runtime, release: (voteFrom: Height) => void) {
    this.#runtime = runtime;
    this.#release = release;
    // Answers to questions of an earlier run must not count: they know less.
    this.#nonce = Math.max(1, runtime.options.clock.now());
  }

  begin(): void {
    this.#ask();
  }

  stop(): void {
    this.#timer?.cancel();
  }

  get nonce(): number {
    return this.#nonce;
  }

  #ask(): void {
    const { executedHeight } = this.#runtime;
    this.#runtime.send("all", {
      t: "status",
      height: executedHeight,
      lowest: this.#runtime.options.blocks.lowest ?? 1,
      nonce: this.#nonce,
      ask: true,
    });
    this.#timer = this.#runtime.options.clock.setTimer(ASK_EVERY_MS, () => this.#ask());
  }

  /**
   * To have voted at height x we needed the finality of x-1, which a quorum made; the answers of
   * a quorum without us meet it in an honest member, whose open height is then at least x-1+1-1:
   * so x <= M + 1 for M the highest open height heard.
   */
  answer(from: ValidatorId, height: Height, nonce: number): void {
    if (nonce !== this.#nonce) return;
    const { set } = this.#runtime.core.open;
    const { self } = this.#runtime.options.transport;
    if (from === self || !set.members.some((member) => member.id === from)) return;
    this.#answers.set(from, Math.max(height + 1, this.#answers.get(from) ?? 0));
    let weight = 0;
    let highest = this.#runtime.core.height;
    for (const member of set.members) {
      const active = this.#answers.get(member.id);
      if (active === undefined) continue;
      weight += member.vote;
      if (active > highest) highest = active;
    }
    if (weight < quorumWeight(set)) return;
    this.stop();
    const isTooLow = this.#runtime.options.testOnlyMutation === "quarantine-floor-too-low";
    this.#release(isTooLow ? highest : highest + 2);
  }
}
