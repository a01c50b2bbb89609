/** New nodes and new consensus keys. Rights are the caller's to check. */
import { HanseError, PUBLIC_KEY_BYTES, type PublicKey } from "@hanse/protocol";
import type { StateOverlay, StateView } from "@hanse/state";
import { requireNode, requireOrganization } from "./registry.ts";
import { findNode, NODES, type RegisteredNode } from "./tables.ts";

const ADDRESS = /^(\[[0-9a-fA-F:.]+\]|[0-9A-Za-z.-]+):[0-9]{1,5}$/;
const ADDRESS_MAX = 260;
const NODE_NAME = /^[a-z][a-z0-9-]{0,62}$/;

function invalid(field: string, expected: string): never {
  throw new HanseError("IDENTITY_INVALID", "rejected", `${field}: ${expected}`, {
    details: { field },
  });
}

function requireFreshNodeKey(view: StateView, key: PublicKey): void {
  if (key.algorithm !== "ed25519" || key.bytes.length !== PUBLIC_KEY_BYTES.ed25519) {
    invalid("key", "expected an ed25519 key");
  }
  requireFresh(view, "key", key.bytes, "key");
}

function requireFresh(view: StateView, column: string, value: Uint8Array, field: string): void {
  const where = { op: "eq", column, value } as const;
  if (view.find({ table: NODES, where, limit: 1 }).length === 0) return;
  throw new HanseError(
    "IDENTITY_KEY_USED",
    "conflict",
    `${field}: a node has this key already: make a new one`,
  );
}

/**
 * A node that may link up with the others from now on; it votes once governance makes it a validator.
 * @throws HanseError `IDENTITY_INVALID`, `IDENTITY_NO_ORGANIZATION`, `IDENTITY_NODE_USED`,
 * `IDENTITY_KEY_USED`
 */
export function registerNode(
  overlay: StateOverlay,
  node: Omit<RegisteredNode, "status">,
): RegisteredNode {
  const { id, org, key, tlsFingerprint, address } = node;
  requireOrganization(overlay, org);
  if (!id.startsWith(`${org}/`) || !NODE_NAME.test(id.slice(org.length + 1))) {
    invalid("id", `expected ${org}/ and a name like ${NODE_NAME.source.slice(1, -1)}`);
  }
  if (findNode(overlay, id) !== undefined) {
    throw new HanseError("IDENTITY_NODE_USED", "conflict", `id: there is a node ${id} already`);
  }
  if (tlsFingerprint.length !== 32) invalid("tlsFingerprint", "expected 32 bytes");
  requireFreshNodeKey(overlay, key);
  requireFresh(overlay, "tls_fingerprint", tlsFingerprint, "tlsFingerprint");
  if (address !== undefined && (address.length > ADDRESS_MAX || !ADDRESS.test(address))) {
    invalid("address", "expected host:port, an IPv6 host in brackets");
  }
  overlay.insert(NODES, [
    id,
    org,
    key.algorithm,
    key.bytes,
    tlsFingerprint,
    "active",
    address ?? null,
  ]);
  return { ...node, status: "active" };
}

/**
 * Another consensus key for a node.
 * @throws HanseError `IDENTITY_NO_NODE`, `IDENTITY_INVALID`, `IDENTITY_KEY_USED`
 */
export function replaceNodeKey(overlay: StateOverlay, id: string, key: PublicKey): RegisteredNode {
  const node = requireNode(overlay, id);
  requireFreshNodeKey(overlay, key);
  overlay.update(NODES, id, { algorithm: key.algorithm, key: key.bytes });
  return { ...node, key };
}
