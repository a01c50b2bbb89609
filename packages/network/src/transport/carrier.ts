/** What carries the TLS connections of a transport, where that is not plain TCP. */
import type { Duplex } from "node:stream";
import type { SocketAddress } from "./address.ts";

/**
 * Byte streams between nodes, in whatever way. They need neither be secret nor say who the other
 * end is: TLS and the registry's keys stand above them.
 */
export interface Carrier {
  /** Streams that others opened; the carrier bounds their number. @throws HanseError */
  start(accept: (stream: Duplex) => void): Promise<SocketAddress>;
  /** At once; the stream fails later if the other end cannot be reached. */
  dial(address: string): Duplex;
  stop(): Promise<void>;
}
