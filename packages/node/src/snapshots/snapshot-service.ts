/**
 * Snapshots of one node: writes its own every so many blocks, serves them to others, and fetches
 * one when it is too far behind to catch up by blocks.
 */
import {
  type Clock,
  decodeSnapshotMessage,
  encodeSnapshotManifest,
  isSnapshotMessage,
  type SnapshotContent,
  SnapshotFetch,
  SnapshotServe,
  type Transport,
} from "@hanse/ordering";
import { type Hash, type TrustedSet, toHanseError, type ValidatorSet } from "@hanse/protocol";
import type { NodeLog } from "../log/create-log.ts";
import { collectHeaderChain, type HeaderChainSources } from "./header-chain.ts";
import { clearIncoming, completeIncoming, openIncoming, readRefused } from "./incoming-snapshot.ts";
import { openSnapshotFolder } from "./snapshot-folder.ts";

/** Counted by name, for the metrics. */
export type SnapshotCounter = "written" | "failed" | "fetched" | "bad_peers";

export interface SnapshotServiceParts {
  readonly folder: string;
  readonly incomingFolder: string;
  readonly ledgerId: Hash;
  readonly genesisSet: ValidatorSet;
  readonly anchor: TrustedSet | undefined;
  readonly reads: HeaderChainSources["reads"];
  readonly lowest: () => number;
  readonly validatorSetAt: HeaderChainSources["validatorSetAt"];
  readonly write: (at: {
    readonly height: number;
    readonly folder: string;
  }) => Promise<SnapshotContent>;
  readonly height: () => number;
  readonly transport: Transport;
  readonly clock: Clock;
  /** 0 = this node writes none. */
  readonly everyBlocks: number;
  readonly kept: number;
  /** Further behind than this, a snapshot is looked for. */
  readonly blocksMax: number;
  readonly count: (what: SnapshotCounter) => void;
  readonly log: NodeLog;
  /** A snapshot is complete and waits to be loaded, by a start of the node. */
  readonly onFetched: () => void;
}

export interface SnapshotService {
  onCommitted(height: number): void;
  /** The node has heard of blocks up to `to`. @param pruned no peer keeps the next one. */
  onBehind(at: { readonly from: number; readonly to: number; readonly pruned?: boolean }): void;
  onSynced(): void;
  /** Blocks from this height on are needed: by who joins with a snapshot that is offered here. */
  readonly neededFrom: number;
  stop(): void;
}

/** Pause after a snapshot that could not be written. */
const RETRY_MS = 60_000;

export function createSnapshotService(parts: SnapshotServiceParts): SnapshotService {
  const { transport, clock, log, reads, everyBlocks } = parts;
  const folder = openSnapshotFolder(parts.folder);
  let stopped = false;
  let finishing = false;
  let fetchedHeight = 0;
  let endPause = () => {};
  /** A snapshot that cannot be completed is told once. */
  let toldHeight = 0;
  /** Behind so far, or so pruned, that blocks do not help. */
  let wanted: "far" | "pruned" | undefined;

  const serve = new SnapshotServe({
    transport,
    clock,
    source: {
      get lowest() {
        return parts.lowest();
      },
      get offers() {
        return folder.offers.slice(0, parts.kept);
      },
      manifest: folder.manifest,
      chunk: folder.chunk,
    },
    report: ({ t, ...facts }) => {
      if (t === "flooded") log.debug(facts, "a peer asks for more than it is answered");
      else log.warn(facts, "a snapshot could not be served");
    },
  });

  const fetch = new SnapshotFetch({
    transport,
    clock,
    trust: {
      ledgerId: parts.ledgerId,
      set: parts.genesisSet,
      height: 1,
      ...(parts.anchor === undefined ? {} : { anchor: parts.anchor }),
    },
    open: (manifest, encoded) => openIncoming(parts.incomingFolder, manifest, encoded),
    report(event) {
      const { t, ...facts } = event;
      switch (event.t) {
        case "began":
          log.info(facts, "a snapshot is fetched");
          return;
        case "badPeer":
          parts.count("bad_peers");
          log.warn(facts, "a peer served a snapshot badly");
          return;
        case "failed":
          parts.count("failed");
          log.error(facts, "a snapshot cannot be kept here");
          return;
        case "complete":
          void onComplete(event.manifest.content);
      }
    },
  });

  for (const id of readRefused(parts.incomingFolder)) fetch.refuse(id);

  async function onComplete({ height }: SnapshotContent): Promise<void> {
    // Catching up by blocks has gone on meanwhile; a short way is not worth a restart.
    const gain = height - parts.height();
    if (stopped || gain <= 0 || (wanted !== "pruned" && gain < parts.blocksMax / 2)) {
      clearIncoming(parts.incomingFolder);
      return;
    }
    try {
      await completeIncoming(parts.incomingFolder);
    } catch (error) {
      log.error({ err: error }, "a snapshot cannot be kept here");
      return;
    }
    parts.count("fetched");
    fetchedHeight = height;
    log.info({ height }, "a snapshot is complete: the node loads it");
    parts.onFetched();
  }

  transport.onMessage((from, channel, bytes) => {
    if (stopped || channel !== "sync" || !isSnapshotMessage(bytes)) return;
    try {
      const message = decodeSnapshotMessage(bytes);
      if (message.t.startsWith("get")) serve.receive(from, message);
      else fetch.receive(from, message);
    } catch (thrown) {
      const { code } = toHanseError(thrown);
      parts.count("bad_peers");
      log.warn({ peer: from, code }, "a peer sent what is no message about snapshots");
    }
  });
  transport.onPeer((peer, up) => {
    if (!up && !stopped) fetch.peerLost(peer);
  });

  /** Writes one snapshot after the other, at the same heights as every other node. */
  async function writeAll(): Promise<void> {
    while (!stopped) {
      const height = (Math.floor(parts.height() / everyBlocks) + 1) * everyBlocks;
      try {
        const content = await parts.write({ height, folder: folder.path });
        folder.add(content);
        parts.count("written");
        const { bytes, leaves, lowestBlock } = content;
        log.info({ height, bytes, leaves, lowestBlock }, "a snapshot is written");
        void finish();
      } catch (thrown) {
        const { code, message } = toHanseError(thrown);
        if (stopped || code === "STORAGE_CLOSED") return;
        parts.count("failed");
        log.error({ height, code }, `a snapshot could not be written: ${message}`);
        await new Promise<void>((resolve) => {
          const timer = clock.setTimer(RETRY_MS, resolve);
          endPause = () => {
            timer.cancel();
            resolve();
          };
        });
      }
    }
  }

  /** Offers what is written, once the block above certifies its roots. */
  async function finish(): Promise<void> {
    if (finishing || stopped) return;
    finishing = true;
    let height = 0;
    try {
      for (const content of folder.pending) {
        height = content.height;
        const chain = await collectHeaderChain(parts, content.height + 1);
        const own = await reads.block(content.height);
        if (chain === undefined || own === undefined || own.certificate.length === 0) continue;
        const manifest = encodeSnapshotManifest({ content, chain, proof: own.certificate });
        await folder.complete(content, manifest, parts.kept);
        log.info({ height: content.height }, "a snapshot is offered");
      }
    } catch (thrown) {
      if (toldHeight !== height) log.error({ height, err: thrown }, "a snapshot is not offered");
      toldHeight = height;
    } finally {
      finishing = false;
    }
  }

  if (everyBlocks > 0) void writeAll();
  void finish();

  return {
    onCommitted(height) {
      if (folder.pending.some((content) => content.height < height)) void finish();
    },
    onBehind({ from, to, pruned = false }) {
      if (stopped || from <= fetchedHeight) return;
      if (!pruned && to - from < parts.blocksMax) return;
      wanted = pruned ? "pruned" : (wanted ?? "far");
      // A snapshot must gain what a restart costs, unless there is no other way.
      fetch.begin(() => parts.height() + (wanted === "pruned" ? 0 : parts.blocksMax / 2));
    },
    onSynced() {
      wanted = undefined;
      if (!fetch.running) return;
      fetch.stop();
      clearIncoming(parts.incomingFolder);
    },
    get neededFrom() {
      const heights = [...folder.pending, ...folder.offers].map((item) => item.height);
      return Math.min(Number.MAX_SAFE_INTEGER, ...heights);
    },
    stop() {
      stopped = true;
      endPause();
      serve.stop();
      fetch.stop();
    },
  };
}
