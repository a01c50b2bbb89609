/** Loads a snapshot that was fetched before this start, before anything of the ledger is opened. */
import { createNativeCodec } from "@hanse/ledger";
import { snapshotIdOf, verifySnapshotManifest } from "@hanse/ordering";
import {
  encodeGenesis,
  type GenesisDocument,
  genesisValidatorSet,
  type Hash,
  type TrustedSet,
  toHanseError,
} from "@hanse/protocol";
import { loadSnapshot } from "@hanse/storage";
import type { NodeLog } from "../log/create-log.ts";
import { clearIncoming, findIncoming, refuseIncoming } from "../snapshots/incoming-snapshot.ts";

/** @throws HanseError `STORAGE_*` of the database; a snapshot that does not hold is only logged. */
export async function loadIncoming(parts: {
  readonly folder: string;
  readonly url: string;
  readonly genesis: GenesisDocument;
  readonly ledgerId: Hash;
  readonly anchor: TrustedSet | undefined;
  readonly log: NodeLog;
}): Promise<void> {
  const { folder, url, genesis, ledgerId, anchor, log } = parts;
  const incoming = findIncoming(folder);
  if (incoming === undefined) return;
  const { manifest } = incoming;
  const { height, bytes, leaves } = manifest.content;
  const base = { ledgerId, set: genesisValidatorSet(genesis), height: 1 };
  const trust = anchor === undefined ? base : { ...base, anchor };
  const verdict = verifySnapshotManifest(manifest, trust);
  if (!verdict.ok) {
    log.error({ height }, `the snapshot fetched before is not of this ledger: ${verdict.reason}`);
    clearIncoming(folder);
    return;
  }
  log.info({ height, bytes, leaves }, "a snapshot is loaded");
  const codec = createNativeCodec();
  const began = performance.now();
  try {
    const loaded = await loadSnapshot({
      url,
      ledgerId,
      manifest,
      chunk: incoming.chunk,
      genesis: encodeGenesis(genesis),
      describe: (transaction) => codec.decode(transaction),
    });
    const ms = Math.round(performance.now() - began);
    if (loaded) log.info({ height, ms }, "the node goes on from the snapshot");
  } catch (thrown) {
    const { code, message } = toHanseError(thrown);
    if (code.startsWith("STORAGE_") && code !== "STORAGE_SNAPSHOT") throw thrown;
    // Whoever made it lied: what is in the manifest was certified, what is in the chunks was not.
    log.error({ height, code }, `the snapshot is refused: ${message}`);
    refuseIncoming(folder, snapshotIdOf(manifest.content));
  }
  clearIncoming(folder);
}
