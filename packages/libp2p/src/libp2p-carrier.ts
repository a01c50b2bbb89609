/**
 * Carries the links of nodes over libp2p, for nodes that nobody can dial: TCP, circuits over other
 * nodes, and direct connections through address translation where that succeeds. libp2p brings
 * bytes there and back and is trusted with nothing: the links' own TLS, with the registry's keys,
 * runs inside.
 */
import type { Duplex } from "node:stream";
import { noise } from "@chainsafe/libp2p-noise";
import { yamux } from "@chainsafe/libp2p-yamux";
import type { Carrier, SocketAddress } from "@hanse/network";
import { type Bytes, HanseError, sha256, toHanseError, utf8 } from "@hanse/protocol";
import { circuitRelayServer, circuitRelayTransport } from "@libp2p/circuit-relay-v2";
import { generateKeyPairFromSeed } from "@libp2p/crypto/keys";
import { dcutr } from "@libp2p/dcutr";
import { identify } from "@libp2p/identify";
import type { Libp2p } from "@libp2p/interface";
import { tcp } from "@libp2p/tcp";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import { createLibp2p } from "libp2p";
import { StreamDuplex } from "./stream-duplex.ts";

const PROTOCOL = "/hanse/link/1";
/** Streams that others may have open here at once. */
const STREAMS_MAX = 256;
/** Nodes that may be reached over one relay. */
const RESERVATIONS_MAX = 256;
const DIAL_MS_MAX = 10_000;
/** How often a lost place at a relay is asked for again. */
const RESERVE_MS = 5000;

export interface Libp2pCarrierOptions {
  /** Secret from which the identity within libp2p follows; keep it, and the address stays. */
  readonly secret: Bytes;
  /** Multiaddresses to listen on, e.g. `/ip4/0.0.0.0/tcp/7071`; none = only over relays. */
  readonly listen: readonly string[];
  /** Multiaddresses of relays, with `/p2p/…`, over which this node can be reached. */
  readonly relays: readonly string[];
  /** Whether this node is a relay for others; only for nodes that all can dial. */
  readonly isRelay: boolean;
}

export interface Libp2pCarrier extends Carrier {
  /** Where others reach this node now. */
  addresses(): readonly string[];
}

/** @throws HanseError `NETWORK_ADDRESS` */
function parseMultiaddr(text: string): Multiaddr {
  try {
    return multiaddr(text);
  } catch (cause) {
    throw new HanseError(
      "NETWORK_ADDRESS",
      "rejected",
      `${text}: not a multiaddress such as /ip4/192.0.2.1/tcp/7071/p2p/12D3…`,
      { cause },
    );
  }
}

/** What the implementation has beyond its interface: listening again after a relay was lost. */
interface WithTransportManager {
  readonly components: {
    readonly transportManager: { listen(addresses: Multiaddr[]): Promise<void> };
  };
}

class Libp2pCarrierImpl implements Libp2pCarrier {
  readonly #node: Libp2p;
  readonly #relays: readonly Multiaddr[];
  #reserve: NodeJS.Timeout | undefined;

  constructor(node: Libp2p, relays: readonly Multiaddr[]) {
    this.#node = node;
    this.#relays = relays;
  }

  async start(accept: (stream: Duplex) => void): Promise<SocketAddress> {
    await this.#node.handle(PROTOCOL, (stream) => accept(new StreamDuplex(stream)), {
      maxInboundStreams: STREAMS_MAX,
      maxOutboundStreams: STREAMS_MAX,
      runOnLimitedConnection: true,
    });
    try {
      await this.#node.start();
    } catch (cause) {
      const { message } = toHanseError(cause);
      throw new HanseError("NETWORK_LISTEN", "unavailable", `network.port: ${message}`, { cause });
    }
    await this.#listenOverRelays();
    this.#reserve = setInterval(() => void this.#listenOverRelays(), RESERVE_MS);
    const direct = this.addresses().find((address) => !address.includes("/p2p-circuit"));
    const [, , host = "", , port = "0"] = (direct ?? "").split("/");
    return { host, port: Number(port) };
  }

  /** A relay may be away; then the next round tries again. */
  async #listenOverRelays(): Promise<void> {
    const held = this.addresses().filter((address) => address.includes("/p2p-circuit"));
    for (const relay of this.#relays) {
      const id = relay.toString().split("/p2p/")[1]!;
      if (held.some((address) => address.includes(`/p2p/${id}/p2p-circuit`))) continue;
      try {
        const { transportManager } = (this.#node as unknown as WithTransportManager).components;
        await transportManager.listen([relay.encapsulate("/p2p-circuit")]);
      } catch {
        // Told by its absence from `addresses`.
      }
    }
  }

  dial(address: string): Duplex {
    const open = async () =>
      this.#node.dialProtocol(parseMultiaddr(address), PROTOCOL, {
        signal: AbortSignal.timeout(DIAL_MS_MAX),
        runOnLimitedConnection: true,
      });
    return new StreamDuplex(open());
  }

  addresses(): readonly string[] {
    return this.#node.getMultiaddrs().map((address) => address.toString());
  }

  async stop(): Promise<void> {
    clearInterval(this.#reserve);
    await this.#node.stop();
  }
}

function createKey(secret: Bytes) {
  const seed = sha256(Buffer.concat([utf8("hanse/libp2p/1\0"), secret]));
  return generateKeyPairFromSeed("Ed25519", seed);
}

/** The name within libp2p that follows from a secret: what stands after `/p2p/` in its addresses. */
export async function libp2pIdOf(secret: Bytes): Promise<string> {
  return (await createKey(secret)).publicKey.toString();
}

/** @throws HanseError `NETWORK_ADDRESS` */
export async function createLibp2pCarrier(options: Libp2pCarrierOptions): Promise<Libp2pCarrier> {
  const { secret, listen, isRelay } = options;
  const relays = options.relays.map(parseMultiaddr);
  const node = await createLibp2p({
    start: false,
    privateKey: await createKey(secret),
    addresses: { listen: listen.map((address) => parseMultiaddr(address).toString()) },
    transports: [tcp(), circuitRelayTransport()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    // Nodes of one organization may well stand in one private network.
    connectionGater: { denyDialMultiaddr: () => false },
    services: {
      identify: identify(),
      dcutr: dcutr(),
      ...(isRelay && {
        relay: circuitRelayServer({
          reservations: { maxReservations: RESERVATIONS_MAX, applyDefaultLimit: false },
        }),
      }),
    },
  });
  return new Libp2pCarrierImpl(node, relays);
}
