/** Does to a running network what the fault schedule says. */
import type { Checker } from "./checker.ts";
import type { Fault } from "./faults.ts";
import type { Network } from "./network.ts";
import type { SimulatedNode } from "./node.ts";
import type { Random } from "./random.ts";
import type { World } from "./world.ts";

export interface InjectorParts {
  readonly world: World;
  readonly network: Network;
  readonly random: Random;
  readonly nodes: readonly SimulatedNode[];
  readonly checker: Checker;
}

export class Injector {
  readonly #parts: InjectorParts;
  /** From then on nothing is injected, and nothing comes back by itself. */
  #healed = false;

  constructor(parts: InjectorParts) {
    this.#parts = parts;
  }

  inject(fault: Fault): void {
    if (this.#healed) return;
    const { nodes, network, random, world } = this.#parts;
    switch (fault.t) {
      case "crash": {
        const node = nodes[fault.node]!;
        node.crashAfter(fault.operations);
        // At the latest then, should nothing happen on it before.
        world.after(fault.operations, () => {
          if (!this.#healed) node.crash();
        });
        this.#startLater(node, fault.operations + fault.downMs);
        return;
      }
      case "crashAll":
        for (const node of nodes) {
          node.crash();
          this.#startLater(node, random.between(0, fault.downMs));
        }
        return;
      case "wipe": {
        const node = nodes[fault.node]!;
        this.#parts.checker.forgot(node.id);
        node.wipe();
        this.#startLater(node, fault.downMs);
        return;
      }
      case "flipBit": {
        const node = nodes[fault.node]!;
        node.crash();
        // The damage may lie where it harms nobody; then nothing is forgotten.
        if (node.disk.flipBit(fault.file, random)) node.damaged = true;
        this.#startLater(node, fault.downMs);
        return;
      }
      case "disk":
        for (const place of fault.nodes) {
          const node = nodes[place]!;
          node.disk.failure = fault.how;
          world.after(fault.downMs, () => {
            if (this.#healed || node.disk.failure === undefined) return;
            node.crash();
            node.disk.mend();
            node.start();
          });
        }
        return;
      case "clock":
        nodes[fault.node]!.time.clockOffsetMs += fault.byMs;
        return;
      case "pause": {
        const { time } = nodes[fault.node]!;
        time.pause();
        world.after(fault.forMs, () => time.resume());
        return;
      }
      case "slow": {
        const { time } = nodes[fault.node]!;
        time.slowness = fault.factor;
        world.after(fault.forMs, () => {
          if (!this.#healed) time.slowness = 1;
        });
        return;
      }
      case "reset":
        network.reset(nodes[fault.node]!.setup.address);
        return;
      case "swizzle":
        fault.out.forEach((place, i) => {
          const back = (fault.out.length + fault.back.indexOf(place)) * fault.stepMs;
          world.after(i * fault.stepMs, () => {
            if (!this.#healed) this.#isolate(place, back - i * fault.stepMs);
          });
        });
        return;
      case "partition":
        this.#separate((a, b) => fault.side.includes(a) !== fault.side.includes(b), fault.forMs);
        return;
      case "bridge":
        this.#separate(
          (a, b) =>
            a !== fault.node &&
            b !== fault.node &&
            fault.side.includes(a) !== fault.side.includes(b),
          fault.forMs,
        );
        return;
      case "deaf":
        this.#separate((_, b) => b === fault.node, fault.forMs);
        return;
      case "mute":
        this.#separate((a) => a === fault.node, fault.forMs);
    }
  }

  /** The network is sound again, and every process runs over a disk and a clock that work. */
  heal(): void {
    this.#healed = true;
    const { nodes, network } = this.#parts;
    network.heal();
    for (const node of nodes) {
      node.crashAfter(undefined);
      if (node.disk.failed) node.crash();
      node.disk.mend();
      node.time.resume();
      node.time.slowness = 1;
      node.time.clockOffsetMs = 0;
    }
  }

  #startLater(node: SimulatedNode, ms: number): void {
    this.#parts.world.after(ms, () => {
      if (!this.#healed) node.start();
    });
  }

  #isolate(place: number, forMs: number): void {
    this.#separate((a, b) => a === place || b === place, forMs);
  }

  #separate(apart: (from: number, to: number) => boolean, forMs: number): void {
    const { nodes, network, world } = this.#parts;
    for (const [a, { setup: from }] of nodes.entries()) {
      for (const [b, { setup: to }] of nodes.entries()) {
        if (a === b || !apart(a, b)) continue;
        network.cut(from.address, to.address);
        world.after(forMs, () => network.mend(from.address, to.address));
      }
    }
  }
}
