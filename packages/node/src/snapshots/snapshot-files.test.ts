/**
 * Goal: what a node keeps for others, and fetches for itself, survives kills at any point and is
 * never offered or loaded by half; the chain to a header crosses every change of the set. Method:
 * real files, headers without signatures, which are judged elsewhere.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import {
  encodeSnapshotContent,
  encodeSnapshotManifest,
  type SnapshotContent,
  type SnapshotManifest,
  snapshotIdOf,
} from "@hanse/ordering";
import {
  type BlockHeader,
  createValidatorSet,
  encodeBlock,
  encodeFinalityProof,
  encodeHeader,
  type FinalityProof,
  hashHeader,
  sha256,
  utf8,
  type ValidatorSet,
  ZERO_HASH,
} from "@hanse/protocol";
import { CONTENT_FILE, chunkFile } from "@hanse/storage";
import { collectHeaderChain } from "./header-chain.ts";
import {
  clearIncoming,
  completeIncoming,
  findIncoming,
  openIncoming,
  readRefused,
  refuseIncoming,
} from "./incoming-snapshot.ts";
import { openSnapshotFolder } from "./snapshot-folder.ts";

const root = mkdtempSync(join(tmpdir(), "hanse-snapshots-"));
after(() => rmSync(root, { recursive: true, force: true }));

const setOf = (...ids: readonly string[]): ValidatorSet =>
  createValidatorSet(
    ids.map((id) => ({
      id,
      org: id,
      key: { algorithm: "ed25519", bytes: sha256(utf8(id)) },
      vote: 1,
      propose: 1,
    })),
    "byzantine",
  );
const first = setOf("a", "b", "c", "d");
const second = setOf("a", "b", "c");

function proofOf(height: number, over: Partial<BlockHeader> = {}): FinalityProof {
  const header: BlockHeader = {
    ledgerId: ZERO_HASH,
    engineEpoch: 0,
    height,
    time: height,
    proposer: "a",
    parentHash: ZERO_HASH,
    txRoot: ZERO_HASH,
    txCount: 0,
    lastCertHash: ZERO_HASH,
    prevStateRoot: ZERO_HASH,
    prevResultsRoot: ZERO_HASH,
    validatorsHash: first.hash,
    nextValidatorsHash: first.hash,
    paramsHash: ZERO_HASH,
    evidenceHash: ZERO_HASH,
    lastSetChangeHeight: 1,
    policyExtra: new Uint8Array(0),
    ...over,
  };
  return {
    kind: "qc",
    header,
    certificate: {
      kind: "finalize",
      engineEpoch: 0,
      height,
      view: 0,
      validatorsHash: header.validatorsHash,
      blockHash: hashHeader(header),
      signers: Uint8Array.of(1),
      signatures: [new Uint8Array(64)],
    },
  };
}

function sample(height: number): { manifest: SnapshotManifest; chunk: Uint8Array } {
  const chunk = utf8(`chunk of ${height}`);
  const content: SnapshotContent = {
    ledgerId: ZERO_HASH,
    height,
    blockHash: ZERO_HASH,
    stateRoot: ZERO_HASH,
    resultsRoot: ZERO_HASH,
    lowestBlock: height,
    leaves: 1,
    bytes: chunk.length,
    chunkHashes: [sha256(chunk)],
  };
  const chain = { sets: [first], headers: [proofOf(height + 1)] };
  return { manifest: { content, chain, proof: encodeFinalityProof(proofOf(height)) }, chunk };
}

/** As the thread that writes snapshots leaves it. */
function write(folder: string, height: number): SnapshotContent {
  const { manifest, chunk } = sample(height);
  mkdirSync(join(folder, String(height)), { recursive: true });
  writeFileSync(join(folder, String(height), chunkFile(0)), chunk);
  const content = encodeSnapshotContent(manifest.content);
  writeFileSync(join(folder, String(height), CONTENT_FILE), content);
  return manifest.content;
}

test("a snapshot is offered from its manifest on; the newest are kept, also over a start", async () => {
  const path = join(root, "kept");
  const folder = openSnapshotFolder(path);
  for (const height of [10, 20, 30]) {
    const content = write(path, height);
    folder.add(content);
    assert.deepEqual(
      folder.pending.map((item) => item.height),
      [height],
    );
    await folder.complete(content, encodeSnapshotManifest(sample(height).manifest), 2);
  }
  const heights = (at = folder) => at.offers.map((offer) => offer.height);
  assert.deepEqual(heights(), [30, 20]);
  assert.deepEqual(readdirSync(path).sort(), ["20", "30"]);
  const id = folder.offers[0]!.id;
  assert.deepEqual(Buffer.from((await folder.chunk(id, 0))!), Buffer.from(sample(30).chunk));
  assert.equal(await folder.chunk(id, 1), undefined);
  assert.equal(await folder.chunk(snapshotIdOf(sample(10).manifest.content), 0), undefined);

  // What a kill leaves: half written, without content, and one whose block above is to come.
  mkdirSync(join(path, "40.part"));
  mkdirSync(join(path, "50"));
  write(path, 60);
  const again = openSnapshotFolder(path);
  assert.deepEqual(heights(again), [30, 20]);
  assert.deepEqual(
    again.pending.map((item) => item.height),
    [60],
  );
  assert.deepEqual(readdirSync(path).sort(), ["20", "30", "60"]);
});

test("what is fetched goes on where it stopped, and counts once it is complete", async () => {
  const folder = join(root, "incoming");
  const { manifest, chunk } = sample(7);
  const encoded = encodeSnapshotManifest(manifest);
  const place = await openIncoming(folder, manifest, encoded);
  assert.ok(!place.has(0));
  await place.save(0, chunk);
  assert.equal(findIncoming(folder), undefined);
  assert.ok((await openIncoming(folder, manifest, encoded)).has(0), "after a kill");
  writeFileSync(join(folder, chunkFile(0)), utf8("chunk of 8"));
  assert.ok(!(await openIncoming(folder, manifest, encoded)).has(0), "damaged on the disk");
  await (await openIncoming(folder, manifest, encoded)).save(0, chunk);
  await completeIncoming(folder);
  const found = findIncoming(folder)!;
  assert.deepEqual(encodeSnapshotManifest(found.manifest), encoded);
  assert.deepEqual(new Uint8Array(await found.chunk(0)), chunk);
  // Another snapshot takes the place.
  const other = sample(9);
  const next = await openIncoming(folder, other.manifest, encodeSnapshotManifest(other.manifest));
  assert.ok(!next.has(0));
  assert.equal(findIncoming(folder), undefined);
  clearIncoming(folder);
  assert.ok(!existsSync(folder));

  const ids = Array.from({ length: 70 }, (_, i) => new Uint8Array(sha256(utf8(`refused ${i}`))));
  for (const id of ids) refuseIncoming(folder, id);
  assert.deepEqual(readRefused(folder), ids.slice(6), "the newest refusals, a bounded number");
});

test("the chain to a header: one header per change, from blocks or from what is kept of them", async () => {
  const proofs = new Map<number, FinalityProof>();
  for (let height = 1; height <= 9; height++) {
    const place = {
      validatorsHash: height < 4 ? first.hash : height < 6 ? second.hash : first.hash,
    };
    const nextHeight = height + 1;
    proofs.set(
      height,
      proofOf(height, {
        ...place,
        nextValidatorsHash: nextHeight < 4 ? first.hash : nextHeight < 6 ? second.hash : first.hash,
        lastSetChangeHeight: height < 4 ? 1 : height < 6 ? 4 : 6,
      }),
    );
  }
  const lowest = 5;
  const reads = {
    async block(height: number) {
      const proof = proofs.get(height);
      if (proof === undefined || height < lowest) return undefined;
      const { header } = proof;
      const none = new Uint8Array(0);
      const block = { header, lastCert: none, evidence: [], transactions: [] };
      const certificate = height === 9 ? none : encodeFinalityProof(proof);
      return { height, hash: hashHeader(header), bytes: encodeBlock(block), certificate };
    },
    async header(height: number) {
      if (height !== 3) return undefined;
      const proof = proofs.get(3)!;
      return { header: encodeHeader(proof.header), certificate: encodeFinalityProof(proof) };
    },
  };
  const validatorSetAt = (height: number) => (height < 4 || height > 5 ? first : second);
  const chain = (await collectHeaderChain({ reads, validatorSetAt }, 8))!;
  assert.deepEqual(
    chain.headers.map((proof) => proof.header.height),
    [3, 5, 8],
  );
  assert.deepEqual(chain.sets, [first, second, first]);
  assert.equal(await collectHeaderChain({ reads, validatorSetAt }, 9), undefined, "not proven yet");
  assert.equal(await collectHeaderChain({ reads, validatorSetAt }, 10), undefined, "not there yet");
  await assert.rejects(
    collectHeaderChain({ reads: { block: reads.block }, validatorSetAt }, 8),
    /header of height 3.*not kept here/,
  );
});
