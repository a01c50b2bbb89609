/** What a transport counts since its start; the node publishes it as metrics. */
import type { Channel } from "@hanse/ordering";

export interface ChannelCounters {
  framesIn: number;
  framesOut: number;
  bytesIn: number;
  bytesOut: number;
  dropped: number;
}

export interface NetworkCounters {
  readonly channels: Readonly<Record<Channel, ChannelCounters>>;
  /** Links that came up. */
  linksUp: number;
  linksLost: number;
  /** Connections refused before they became links: wrong key, ledger, version, garbage. */
  refused: number;
  /** Links closed for breaking the protocol. */
  violations: number;
  /** The same by error code; codes are the transport's own, so they are few. */
  readonly violationCodes: ReadonlyMap<string, number>;
  countViolation(code: string): void;
  /** Times reading from a peer paused because it sent too fast. */
  throttled: number;
  /** Times a link waited because the node sends as much as it may. */
  readonly capped: number;
  /** TLS writes; frames out divided by this is the coalescing factor. */
  writes: number;
}

/** `capped` is asked for when it is read. */
export function createCounters(capped: () => number): NetworkCounters {
  const channel = () => ({ framesIn: 0, framesOut: 0, bytesIn: 0, bytesOut: 0, dropped: 0 });
  const violationCodes = new Map<string, number>();
  return {
    channels: { consensus: channel(), sync: channel(), transactions: channel() },
    linksUp: 0,
    linksLost: 0,
    refused: 0,
    violations: 0,
    violationCodes,
    countViolation(code) {
      this.violations++;
      violationCodes.set(code, (violationCodes.get(code) ?? 0) + 1);
    },
    throttled: 0,
    get capped() {
      return capped();
    },
    writes: 0,
  };
}
