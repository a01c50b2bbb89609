/**
 * One set of links for the engines of one ledger, one after the other: the first engine's messages
 * travel as they are, those of a later epoch behind two bytes that name it. So a node that lags is
 * still served by the engine of before, and neither engine sees what is meant for the other.
 */
import type { Transport } from "@hanse/ordering";

/** No CBOR array, as every message of an engine is one, begins with this byte. */
const MARK = 0xec;
const HEADER_BYTES = 2;

/** What the first engine sends and hears. */
export function firstLane(transport: Transport): Transport {
  return {
    self: transport.self,
    send: (to, channel, message) => transport.send(to, channel, message),
    broadcast: (channel, message) => transport.broadcast(channel, message),
    onMessage(handler) {
      transport.onMessage((from, channel, message) => {
        if (message[0] !== MARK) handler(from, channel, message);
      });
    },
    onPeer: (handler) => transport.onPeer(handler),
    peers: () => transport.peers(),
  };
}

/** What the engine of a later epoch sends and hears. */
export function laneOf(transport: Transport, engineEpoch: number): Transport {
  const epoch = engineEpoch & 0xff;
  const mark = (message: Uint8Array) => {
    const marked = new Uint8Array(message.length + HEADER_BYTES);
    marked[0] = MARK;
    marked[1] = epoch;
    marked.set(message, HEADER_BYTES);
    return marked;
  };
  return {
    self: transport.self,
    send: (to, channel, message) => transport.send(to, channel, mark(message)),
    broadcast: (channel, message) => transport.broadcast(channel, mark(message)),
    onMessage(handler) {
      transport.onMessage((from, channel, message) => {
        if (message[0] !== MARK || message[1] !== epoch) return;
        handler(from, channel, message.subarray(HEADER_BYTES));
      });
    },
    onPeer: (handler) => transport.onPeer(handler),
    peers: () => transport.peers(),
  };
}
