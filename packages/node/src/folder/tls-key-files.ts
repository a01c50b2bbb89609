/**
 * The TLS keys of a node on disk: `keys.tls` is in use; beside it `….next` waits until the registry
 * has it, and `….previous` serves peers that have not heard of the change yet.
 */
import { existsSync, readFileSync, renameSync } from "node:fs";
import {
  createTlsIdentity,
  encodeTlsIdentity,
  readTlsIdentity,
  type TlsIdentity,
} from "@hanse/network";
import { equalBytes, HanseError, type Hash } from "@hanse/protocol";
import type { NodeConfig } from "../config/schema.ts";
import { writeSecretFile } from "./secret-file.ts";

export interface TlsKeyFiles {
  readonly inUse: TlsIdentity;
  readonly next: TlsIdentity | undefined;
  readonly previous: TlsIdentity | undefined;
}

const nextOf = (config: NodeConfig) => `${config.keys.tls}.next`;
const previousOf = (config: NodeConfig) => `${config.keys.tls}.previous`;

function loadKey(file: string): TlsIdentity {
  let pem: string;
  try {
    pem = readFileSync(file, "utf8");
  } catch (cause) {
    throw new HanseError("NODE_FILE", "notFound", `keys.tls: ${file} cannot be read`, { cause });
  }
  return readTlsIdentity(pem);
}

/** @throws HanseError `NODE_FILE`, `NETWORK_IDENTITY` */
export function loadTlsKeys(config: NodeConfig): TlsKeyFiles {
  const optional = (file: string) => (existsSync(file) ? loadKey(file) : undefined);
  return {
    inUse: loadKey(config.keys.tls),
    next: optional(nextOf(config)),
    previous: optional(previousOf(config)),
  };
}

/** The keys other than the one in use. */
export function otherTlsKeys({ next, previous }: TlsKeyFiles): readonly TlsIdentity[] {
  return [next, previous].filter((key) => key !== undefined);
}

/**
 * Makes the key to come, unless one is waiting already; its fingerprint is for the registry.
 * @throws HanseError `NODE_FILE`
 */
export async function prepareTlsKey(config: NodeConfig): Promise<Hash> {
  const waiting = loadTlsKeys(config).next;
  if (waiting !== undefined) return waiting.fingerprint;
  const fresh = await createTlsIdentity({ name: config.node.id });
  writeSecretFile(nextOf(config), encodeTlsIdentity(fresh));
  return fresh.fingerprint;
}

/**
 * Brings the files into line with the registry: the waiting key comes into use when the registry
 * has it. Each step leaves every key in some file. True when the key in use has changed.
 */
export function adoptTlsKey(config: NodeConfig, registered: Hash): boolean {
  const { inUse, next } = loadTlsKeys(config);
  if (next === undefined || !equalBytes(next.fingerprint, registered)) return false;
  writeSecretFile(previousOf(config), encodeTlsIdentity(inUse));
  renameSync(nextOf(config), config.keys.tls);
  return true;
}
