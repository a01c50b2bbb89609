/** The two keys of a node: one signs votes and blocks, one shows who it is to other nodes. */
import path from "node:path";
import { createTlsIdentity, encodeTlsIdentity } from "@hanse/network";
import { createKeyPair, encodeKeyFile, type Hash, type PublicKey } from "@hanse/protocol";
import { saveSecretFile } from "./account-key.ts";

export interface NodeKeys {
  readonly consensusKey: PublicKey;
  /** SHA-256 of the TLS certificate's public key. */
  readonly tlsFingerprint: Hash;
  /** Writes `consensus.json` and `tls.pem`, readable by the owner alone. */
  save(folder: string): void;
}

/** Fresh keys for the node `id` (`org/node-name`). */
export async function createNodeKeys(id: string): Promise<NodeKeys> {
  const consensus = createKeyPair("ed25519");
  const tls = await createTlsIdentity({ name: id });
  return {
    consensusKey: consensus.publicKey,
    tlsFingerprint: tls.fingerprint,
    save(folder) {
      saveSecretFile(path.join(folder, "consensus.json"), encodeKeyFile(consensus));
      saveSecretFile(path.join(folder, "tls.pem"), encodeTlsIdentity(tls));
    },
  };
}
