/** What the simulator takes from the product and from Node, in one place. */
import { crc32 as zlibCrc32 } from "node:zlib";

export type { Channel, Transport } from "@hanse/ordering";
export type { ValidatorId } from "@hanse/protocol";

export function crc32(bytes: Uint8Array): number {
  return zlibCrc32(bytes);
}
