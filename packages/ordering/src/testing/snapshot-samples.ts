/** A ledger's headers with real signatures and a snapshot of its last height but one: for tests. */
import {
  assembleCertificate,
  type BlockHeader,
  createKeyPair,
  createValidatorSet,
  encodeFinalityProof,
  type FinalityProof,
  type Hash,
  hashHeader,
  type KeyPair,
  sha256,
  signMessage,
  utf8,
  type ValidatorSet,
  voteMessage,
  ZERO_HASH,
} from "@hanse/protocol";
import type { ChainTrust } from "../sync/header-chain.ts";
import {
  CHUNK_BYTES,
  type SnapshotContent,
  type SnapshotManifest,
} from "../sync/snapshot-manifest.ts";

export const sampleLedger = sha256(utf8("snapshot sample"));

export interface SampleSet {
  readonly set: ValidatorSet;
  readonly pairs: ReadonlyMap<string, KeyPair>;
}

/** Needs `readyKeyBackends` before. */
export function sampleSet(ids: readonly string[]): SampleSet {
  const pairs = new Map(ids.map((id) => [id, createKeyPair("ed25519")]));
  const members = ids.map((id) => ({
    id,
    org: id,
    key: pairs.get(id)!.publicKey,
    vote: 1,
    propose: 1,
  }));
  return { set: createValidatorSet(members, "byzantine"), pairs };
}

/** @param signers ids of those who sign; all by default. */
export function proveHeader(
  header: BlockHeader,
  { set, pairs }: SampleSet,
  signers: readonly string[] = [...pairs.keys()],
): FinalityProof {
  const subject = {
    kind: "finalize",
    ledgerId: header.ledgerId,
    engineEpoch: header.engineEpoch,
    height: header.height,
    view: 0,
    validatorsHash: set.hash,
    blockHash: hashHeader(header),
  } as const;
  const message = voteMessage(subject);
  const votes = signers.map((id) => ({
    member: set.members.findIndex((member) => member.id === id),
    signature: signMessage(pairs.get(id)!, message),
  }));
  return { kind: "qc", header, certificate: assembleCertificate(subject, set, votes) };
}

/** Headers 1 to `top`; at each height of `changes` the next of `sets` takes effect. */
export function sampleHeaders(
  top: number,
  sets: readonly SampleSet[],
  changes: readonly number[] = [],
  roots: { readonly stateRoot?: Hash; readonly resultsRoot?: Hash } = {},
): FinalityProof[] {
  const proofs: FinalityProof[] = [];
  let parentHash: Hash = sampleLedger;
  const at = (height: number) => changes.filter((change) => change <= height).length;
  for (let height = 1; height <= top; height++) {
    const place = at(height);
    const header: BlockHeader = {
      ledgerId: sampleLedger,
      engineEpoch: 0,
      height,
      time: height,
      proposer: "a",
      parentHash,
      txRoot: ZERO_HASH,
      txCount: 0,
      lastCertHash: ZERO_HASH,
      prevStateRoot: (height === top ? roots.stateRoot : undefined) ?? ZERO_HASH,
      prevResultsRoot: (height === top ? roots.resultsRoot : undefined) ?? ZERO_HASH,
      validatorsHash: sets[place]!.set.hash,
      nextValidatorsHash: sets[at(height + 1)]!.set.hash,
      paramsHash: ZERO_HASH,
      evidenceHash: ZERO_HASH,
      lastSetChangeHeight: place === 0 ? 1 : changes[place - 1]!,
      policyExtra: new Uint8Array(0),
    };
    proofs.push(proveHeader(header, sets[place]!));
    parentHash = hashHeader(header);
  }
  return proofs;
}

export interface SampleSnapshot {
  readonly manifest: SnapshotManifest;
  readonly chunks: readonly Uint8Array[];
  readonly trust: ChainTrust;
}

/** A snapshot of height `height` of three chunks, over a chain with the given changes. */
export function sampleSnapshot(
  height: number,
  sets: readonly SampleSet[],
  changes: readonly number[] = [],
): SampleSnapshot {
  const chunks = [0, 1, 2].map((i) => new Uint8Array(i < 2 ? CHUNK_BYTES : 1000).fill(height + i));
  const stateRoot = sha256(utf8(`state ${height}`));
  const resultsRoot = sha256(utf8(`results ${height}`));
  const headers = sampleHeaders(height + 1, sets, changes, { stateRoot, resultsRoot });
  const content: SnapshotContent = {
    ledgerId: sampleLedger,
    height,
    blockHash: headers[height]!.header.parentHash,
    stateRoot,
    resultsRoot,
    lowestBlock: height,
    leaves: 3,
    bytes: chunks.reduce((sum, chunk) => sum + chunk.length, 0),
    chunkHashes: chunks.map((chunk) => new Uint8Array(sha256(chunk))),
  };
  const crossed = changes.filter((change) => change <= height + 1);
  return {
    manifest: {
      content,
      chain: {
        sets: sets.slice(0, crossed.length + 1).map(({ set }) => set),
        headers: [...crossed.map((change) => headers[change - 2]!), headers[height]!],
      },
      proof: encodeFinalityProof(headers[height - 1]!),
    },
    chunks,
    trust: { ledgerId: sampleLedger, set: sets[0]!.set, height: 1 },
  };
}
