/**
 * Goal: a manifest is believed exactly when the ledger certified it, however it is bent. Method:
 * real keys and signatures, every byte flipped, chains across changes of the set.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import {
  hashHeader,
  readyKeyBackends,
  sha256,
  type TrustedSet,
  toHanseError,
  utf8,
} from "@hanse/protocol";
import {
  proveHeader,
  type SampleSet,
  sampleHeaders,
  sampleSet,
  sampleSnapshot,
} from "../testing/snapshot-samples.ts";
import {
  decodeSnapshotManifest,
  encodeSnapshotManifest,
  isChunk,
  type SnapshotManifest,
  snapshotIdOf,
  verifySnapshotManifest,
} from "./snapshot-manifest.ts";

let sets: SampleSet[];
before(async () => {
  await readyKeyBackends();
  sets = [sampleSet(["a", "b", "c", "d"]), sampleSet(["b", "c", "d", "e"]), sampleSet(["x", "y"])];
});

test("a manifest survives its encoding and holds across changes of the set", () => {
  for (const changes of [[], [3], [3, 5], [3, 8], [2, 3]]) {
    const { manifest, trust } = sampleSnapshot(7, sets, changes);
    const again = decodeSnapshotManifest(encodeSnapshotManifest(manifest));
    assert.deepEqual(again, manifest);
    assert.deepEqual(snapshotIdOf(again.content), snapshotIdOf(manifest.content));
    assert.deepEqual(verifySnapshotManifest(again, trust), { ok: true }, `changes ${changes}`);
  }
});

test("what the ledger did not certify is refused with the reason", () => {
  const { manifest, trust } = sampleSnapshot(7, sets, [3, 5]);
  const { content, chain } = manifest;
  const other = sha256(utf8("other"));
  const refused = (changed: SnapshotManifest, reason: RegExp, by = trust) => {
    const verdict = verifySnapshotManifest(changed, by);
    assert.ok(!verdict.ok, `refused: ${reason}`);
    assert.match(verdict.reason, reason);
  };
  refused({ ...manifest, content: { ...content, stateRoot: other } }, /state root/);
  refused({ ...manifest, content: { ...content, resultsRoot: other } }, /results root/);
  refused({ ...manifest, content: { ...content, blockHash: other } }, /another block/);
  refused({ ...manifest, content: { ...content, height: 6 } }, /leads to height 8, expected 7/);
  refused({ ...manifest, content: { ...content, ledgerId: other } }, /another ledger/);
  // A new epoch whose members nobody handed over to.
  const { set } = sets[2]!;
  const changed = { engineEpoch: 1, validatorsHash: set.hash, lastSetChangeHeight: 3 };
  const recovered = proveHeader({ ...chain.headers[2]!.header, ...changed }, sets[2]!);
  const across = { sets: [chain.sets[0]!, set], headers: [chain.headers[0]!, recovered] };
  refused({ ...manifest, chain: across }, /does not hand over .* with the recovery document/);
  refused(manifest, /another set/, { ...trust, set: sets[1]!.set });
  refused(manifest, /another ledger/, { ...trust, ledgerId: other });
  const { sets: chainSets, headers } = chain;
  refused({ ...manifest, chain: { sets: [], headers: [] } }, /no header/);
  refused({ ...manifest, chain: { sets: chainSets.slice(1), headers } }, /3 headers for 2 sets/);
  // A step left out: the last set has nobody's word.
  refused(
    {
      ...manifest,
      chain: { sets: [chainSets[0]!, chainSets[2]!], headers: [headers[0]!, headers[2]!] },
    },
    /does not hand over/,
  );
  // The first set still signs, above the height at which it handed over.
  const late = { ...headers[0]!.header, height: 8, lastSetChangeHeight: 1 };
  const forged = proveHeader(late, sets[0]!);
  refused(
    { ...manifest, chain: { sets: [chainSets[0]!], headers: [forged] } },
    /another block|another|state/,
  );
  const since = { ...headers[2]!.header, lastSetChangeHeight: 4 };
  refused(
    {
      ...manifest,
      chain: { sets: chainSets, headers: [headers[0]!, headers[1]!, proveHeader(since, sets[2]!)] },
    },
    /in force since 4, not 5/,
  );
});

test("an anchor refuses another history, whoever signed it", () => {
  const changes = [3, 5];
  const { manifest, trust } = sampleSnapshot(7, sets, changes);
  const headers = sampleHeaders(10, sets, changes);
  const { headers: chain } = manifest.chain;
  const anchorAt = (height: number): TrustedSet => ({
    ledgerId: trust.ledgerId,
    height,
    headerHash: hashHeader(height === 8 ? chain.at(-1)!.header : headers[height - 1]!.header),
    set: sets[changes.filter((change) => change <= height).length]!.set,
  });
  const judge = (anchor: TrustedSet) => verifySnapshotManifest(manifest, { ...trust, anchor });
  // Above the top it is for the blocks that follow to agree or not.
  for (let height = 1; height <= 9; height++) {
    assert.deepEqual(judge(anchorAt(height)), { ok: true }, `anchor ${height}`);
  }
  const headerHash = sha256(utf8("another history"));
  // The header of the height, or the one above it, is in the chain.
  for (const height of [1, 2, 3, 4, 7, 8]) {
    const verdict = judge({ ...anchorAt(height), headerHash });
    assert.ok(!verdict.ok && verdict.contradictsAnchor === true, `anchor ${height}`);
    assert.match(
      verdict.reason,
      new RegExp(`the trust anchor at block ${height} is another block`),
    );
  }
  for (const height of [2, 5, 6]) {
    const verdict = judge({ ...anchorAt(height), set: sets[1]!.set });
    assert.ok(!verdict.ok && verdict.contradictsAnchor === true, `anchor ${height}`);
    assert.match(verdict.reason, /another validator set/);
  }
});

test("every flipped byte is refused, and never more than that", () => {
  const { manifest, trust } = sampleSnapshot(4, [sets[2]!], []);
  const bytes = encodeSnapshotManifest(manifest);
  const id = snapshotIdOf(manifest.content);
  for (let i = 0; i < bytes.length; i++) {
    const bent = bytes.slice();
    bent[i]! ^= 1 << (i % 8);
    let read: SnapshotManifest;
    try {
      read = decodeSnapshotManifest(bent);
    } catch (thrown) {
      assert.notEqual(toHanseError(thrown).code, "INTERNAL", `byte ${i}`);
      continue;
    }
    const isSame = Buffer.from(snapshotIdOf(read.content)).equals(id);
    // The proof of the snapshot's own block is checked when the block is there, at loading.
    const isProof = !Buffer.from(read.proof).equals(manifest.proof);
    assert.ok(!isSame || isProof || !verifySnapshotManifest(read, trust).ok, `byte ${i}`);
  }
});

test("a chunk is known by its place, size and hash", () => {
  const { manifest, chunks } = sampleSnapshot(4, [sets[2]!], []);
  const { content } = manifest;
  for (const [i, chunk] of chunks.entries()) assert.ok(isChunk(content, i, chunk));
  assert.ok(!isChunk(content, 0, chunks[1]!));
  assert.ok(!isChunk(content, 3, chunks[2]!));
  assert.ok(!isChunk(content, 2, chunks[2]!.subarray(1)));
  const bent = chunks[1]!.slice();
  bent[500_000]! ^= 4;
  assert.ok(!isChunk(content, 1, bent));
});
