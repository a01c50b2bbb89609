/** Addresses of nodes as text: `host:port`, an IPv6 host in brackets. */

export interface SocketAddress {
  readonly host: string;
  readonly port: number;
}

export function parseAddress(address: string): SocketAddress {
  const at = address.lastIndexOf(":");
  return {
    host: address.slice(0, at).replace(/^\[|\]$/g, ""),
    port: Number(address.slice(at + 1)),
  };
}
