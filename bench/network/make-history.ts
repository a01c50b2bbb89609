/**
 * A long history for a stopped node, through its own store: empty blocks, each with its header, its
 * certificate signed by every validator, stored as a run would leave them, but many in one database
 * transaction. What it leaves out is the time to agree on them.
 */

import { readFileSync } from "node:fs";
import path from "node:path";
import type { NetworkFolder, NodeEntry } from "@hanse/cli";
import type { BlockCommit } from "@hanse/ledger";
import { loadConfig } from "@hanse/node";
import { hashLastCert } from "@hanse/ordering";
import {
  assembleCertificate,
  type BlockHeader,
  type Bytes,
  decodeBlock,
  decodeKeyFile,
  encodeCertificate,
  evidenceRoot,
  fromHex,
  type GenesisDocument,
  genesisValidatorSet,
  hashHeader,
  outcomeRoot,
  signMessage,
  transactionRoot,
  voteMessage,
} from "@hanse/protocol";
import { openLedgerStore, startEmbeddedPostgres } from "@hanse/storage";

/** Time that the history spans at least: no transaction from before it may come again at its end. */
const SPAN_MS = 4_000_000;
const BLOCKS_PER_WRITE = 250;
const PROGRESS_MS = 5_000;

export interface HistoryPlan {
  readonly node: NodeEntry;
  readonly genesis: GenesisDocument;
  /** Height at the end. */
  readonly height: number;
  /** A snapshot is written at this height. */
  readonly snapshotAt: number;
  readonly note: (text: string) => void;
}

/** Seconds it took. */
export async function makeHistory(folder: NetworkFolder, plan: HistoryPlan): Promise<number> {
  const { node, genesis, height: top, snapshotAt } = plan;
  const began = performance.now();
  const ledgerId = fromHex(folder.manifest.ledgerId);
  const set = genesisValidatorSet(genesis);
  const pairs = new Map(
    folder.nodes.map((entry) => {
      const file = loadConfig({ file: entry.configFile }).config.keys.consensus;
      return [entry.id, decodeKeyFile(readFileSync(file, "utf8"))] as const;
    }),
  );
  const keys = set.members.map((member) => pairs.get(member.id)!);
  const postgres = await startEmbeddedPostgres({
    dir: path.join(node.dataFolder, "postgres"),
    // A machine that fails while a benchmark is prepared loses nothing of worth.
    settings: { fsync: "off" },
  });
  try {
    const store = await openLedgerStore({ database: postgres, ledgerId });
    try {
      const { height: start, stateRoot, resultsRoot, blockHash } = await store.info();
      const last = (await store.block(start))!;
      const template = decodeBlock(last.bytes).header;
      let parent: { hash: Bytes; time: number; certificate: Bytes; results: Bytes } = {
        hash: blockHash,
        time: template.time,
        certificate: last.certificate,
        results: resultsRoot,
      };
      const blockMs = Math.ceil(SPAN_MS / (snapshotAt - start));
      const empty = outcomeRoot([], []);
      const snapshots = path.join(node.dataFolder, "snapshots");
      let snapshot: Promise<unknown> = Promise.resolve();
      let written: Promise<void> = Promise.resolve();
      let bulk: BlockCommit[] = [];
      let told = performance.now();
      for (let height = start + 1; height <= top; height++) {
        const header: BlockHeader = {
          ...template,
          height,
          time: parent.time + blockMs,
          parentHash: parent.hash,
          txRoot: transactionRoot([]),
          txCount: 0,
          lastCertHash: hashLastCert(parent.certificate),
          prevStateRoot: stateRoot,
          prevResultsRoot: parent.results,
          evidenceHash: evidenceRoot([]),
        };
        const hash = hashHeader(header);
        const subject = {
          kind: "finalize",
          ledgerId,
          engineEpoch: header.engineEpoch,
          height,
          view: 0,
          validatorsHash: set.hash,
          blockHash: hash,
        } as const;
        const message = voteMessage(subject);
        const votes = keys.map((key, member) => ({ member, signature: signMessage(key, message) }));
        const certificate = assembleCertificate(subject, set, votes);
        const block = { header, lastCert: parent.certificate, evidence: [], transactions: [] };
        const commit: BlockCommit = {
          decided: { block, hash, proof: { kind: "qc", header, certificate } },
          executed: { block, hash, transactions: [], outcomes: [] },
          result: {
            height,
            stateRoot,
            resultsRoot: empty,
            paramsHash: header.paramsHash,
            validatorUpdates: [],
            changed: false,
          },
          changes: [],
          views: [],
        };
        if (height < snapshotAt) {
          bulk.push(commit);
          if (bulk.length >= BLOCKS_PER_WRITE || height === snapshotAt - 1) {
            await written;
            const isLast = height === snapshotAt - 1;
            written = store.loadBlocks(bulk, isLast);
            bulk = [];
            if (isLast) await written;
          }
        } else {
          if (height === snapshotAt) snapshot = store.writeSnapshot({ height, folder: snapshots });
          await store.apply(height, []);
          await store.commit(commit);
        }
        parent = {
          hash,
          time: header.time,
          certificate: encodeCertificate(certificate),
          results: empty,
        };
        if (performance.now() - told < PROGRESS_MS) continue;
        told = performance.now();
        const perSecond = ((height - start) * 1000) / (told - began);
        plan.note(`${height} of ${top} blocks, ${Math.round(perSecond)} blocks/s`);
      }
      await snapshot;
    } finally {
      await store.close();
    }
  } finally {
    await postgres.stop();
  }
  return (performance.now() - began) / 1000;
}
