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
  /** Times reading from a peer paused because it sent too fast. */
  throttled: number;
  /** TLS writes; frames out divided by this is the coalescing factor. */
  writes: number;
}

export function createCounters(): NetworkCounters {
  const channel = () => ({ framesIn: 0, framesOut: 0, bytesIn: 0, bytesOut: 0, dropped: 0 });
  return {
    channels: { consensus: channel(), sync: channel(), transactions: channel() },
    linksUp: 0,
    linksLost: 0,
    refused: 0,
    violations: 0,
    throttled: 0,
    writes: 0,
  };
}
