/** What the log, the signing state and the ledger together say at a start. */
import {
  decodeBlock,
  decodeCertificate,
  equalBytes,
  HanseError,
  hashHeader,
  type ValidatorSet,
} from "@hanse/protocol";
import type { Body, BootRecord, ParentBlock } from "../core/events.ts";
import type { AppInfo, Height, OrderingEra, SignedPlace } from "../engine/interfaces.ts";
import type { RecoveryDocument } from "../recovery/recovery-document.ts";
import type { WalContents } from "../wal/wal.ts";
import { bodyFromBytes } from "../wire/bodies.ts";
import type { BuiltinEngineOptions } from "./runtime.ts";

/**
 * @throws HanseError `ORDERING_STATE_MISMATCH` when the ledger's last block is not the one that
 * its height names; `ORDERING_SETS_UNKNOWN` when the log that knew the validator set is gone.
 */
export async function createBootRecord(
  options: BuiltinEngineOptions,
  contents: WalContents,
  info: AppInfo,
): Promise<BootRecord> {
  const { signer } = options;
  const setsByHeight = new Map<Height, ValidatorSet>([[0, options.genesisSet]]);
  const eras = new Map<Height, OrderingEra>();
  eras.set(1, {
    height: 1,
    engineEpoch: options.engineEpoch ?? 0,
    kind: "builtin",
    policy: options.policy.kind,
  });
  const schedule = info.height === 0 ? undefined : await options.schedule?.(info.height);
  for (const { height, set } of schedule?.sets ?? []) setsByHeight.set(height, set);
  for (const era of schedule?.eras ?? []) eras.set(era.height, era);
  const bodies = new Map<string, Body>();
  const votes = new Map<string, SignedPlace>();
  const proposals = new Map<string, SignedPlace>();
  const certificates: BootRecord["certificates"][number][] = [];
  const finals: BootRecord["finals"][number][] = [];
  const damaged = contents.damage !== "none";
  for (const record of contents.records) {
    if (record.t === "set") {
      // Segments repeat them, and re-execution gives the same again.
      setsByHeight.set(record.height, record.set);
      continue;
    }
    if (record.t === "era") {
      const { t: _, ...era } = record;
      eras.set(record.height, era);
      // A recovery begins an epoch at a height where the one before had begun to vote.
      dropFrom(record.height, votes, proposals);
      continue;
    }
    if (damaged || record.t === "base" || record.height <= info.height) continue;
    switch (record.t) {
      case "vote":
        votes.set(`${record.kind}:${record.height}:${record.view}`, record);
        break;
      case "proposal":
        proposals.set(`${record.height}:${record.view}`, { ...record, kind: "propose" });
        break;
      case "body": {
        const body = bodyFromBytes(record.block);
        bodies.set(body.key, body);
        break;
      }
      case "certificate":
        certificates.push(decodeCertificate(record.certificate));
        break;
      case "final": {
        const body = [...bodies.values()].find((b) => equalBytes(b.hash, record.blockHash));
        if (body !== undefined) {
          finals.push({ body, certificate: decodeCertificate(record.certificate) });
        }
        break;
      }
    }
  }
  const parent = await readParent(options, info);
  const { recovery } = options;
  const knows = [...eras.values()].some((e) => e.engineEpoch === recovery?.engineEpoch);
  const begins = knows || parent.engineEpoch === recovery?.engineEpoch ? undefined : recovery;
  if (begins !== undefined) {
    const last = Math.max(info.height, ...finals.map(({ body }) => body.block.header.height));
    requireRecoverable(begins, info, last);
    dropFrom(begins.height + 1, votes, proposals);
  }
  if (recovery !== undefined && !knows) adoptRecovery(recovery, setsByHeight, eras);
  const sets = [...setsByHeight]
    .map(([height, set]) => ({ height, set }))
    .sort((a, b) => a.height - b.height);
  let signedHeight = 0;
  for (const place of signer.signed) {
    // Of the epoch that has ended.
    if (begins !== undefined && place.height > begins.height) continue;
    signedHeight = Math.max(signedHeight, place.height);
    const at = `${place.height}:${place.view}`;
    if (place.kind === "propose") {
      if (!proposals.has(at)) proposals.set(at, place);
    } else if (!votes.has(`${place.kind}:${at}`)) {
      votes.set(`${place.kind}:${at}`, place);
    }
  }
  let inForce = options.genesisSet;
  for (const entry of sets) if (entry.height <= info.height + 1) inForce = entry.set;
  if (
    parent.nextValidatorsHash !== undefined &&
    !eras.has(info.height + 1) &&
    !equalBytes(parent.nextValidatorsHash, inForce.hash)
  ) {
    throw new HanseError(
      "ORDERING_SETS_UNKNOWN",
      "corrupt",
      `the validator set after height ${info.height} is not in this node's log: restore the log, ` +
        "or empty the ledger's database so that this node catches up from the others",
    );
  }
  let below = options.genesisSet;
  for (const entry of sets) if (entry.height <= info.height) below = entry.set;
  const changedSet = info.height > 0 && !equalBytes(below.hash, inForce.hash);
  const current = currentEras([...eras.values()], info.height);
  const covering = current.findLast((era) => era.height <= info.height);
  return {
    parent: parent.block,
    // The proof of another engine's block is nothing that this one could go on from.
    lastCert: covering?.kind === "builtin" ? parent.certificate : new Uint8Array(0),
    lastSetChangeHeight: changedSet ? info.height + 1 : parent.lastSetChangeHeight,
    changed: parent.changed,
    hasWork: options.app.hasWork(),
    voteFrom: signer.quarantined === undefined ? Math.max(signer.floor, signedHeight) : undefined,
    sets,
    eras: current,
    finals,
    votes: [...votes.values()],
    proposals: [...proposals.values()],
    certificates,
    bodies: [...bodies.values()],
    begins:
      begins === undefined ? undefined : { set: begins.set, era: eras.get(begins.height + 1)! },
  };
}

function dropFrom(height: Height, ...kept: readonly Map<string, SignedPlace>[]): void {
  for (const places of kept) {
    for (const [key, place] of places) if (place.height >= height) places.delete(key);
  }
}

/** @throws HanseError `ORDERING_RECOVERY_HEIGHT`, `ORDERING_RECOVERY_BLOCK` */
function requireRecoverable(recovery: RecoveryDocument, info: AppInfo, last: Height): void {
  const { height, blockHash, stateRoot } = recovery;
  if (last > height) {
    throw new HanseError(
      "ORDERING_RECOVERY_HEIGHT",
      "conflict",
      `the recovery document goes on above height ${height}, but this node holds final block ` +
        `${last}: draw up the document anew from the highest final block of all members`,
    );
  }
  if (info.height < height) return;
  if (equalBytes(info.blockHash, blockHash) && equalBytes(info.stateRoot, stateRoot)) return;
  throw new HanseError(
    "ORDERING_RECOVERY_BLOCK",
    "conflict",
    `the recovery document names another block or state at height ${height} than this node holds`,
  );
}

/**
 * Above the document's height its set and epoch hold; what was decided before for the two heights
 * that the members of old could not reach any more is void.
 */
function adoptRecovery(
  { height, engineEpoch, policy, policyParams, set }: RecoveryDocument,
  sets: Map<Height, ValidatorSet>,
  eras: Map<Height, OrderingEra>,
): void {
  sets.delete(height + 2);
  for (const from of [...eras.keys()]) if (from > height) eras.delete(from);
  sets.set(height + 1, set);
  eras.set(height + 1, { height: height + 1, engineEpoch, kind: "builtin", policy, policyParams });
}

/** Ascending, from the one that covers the committed height on. */
function currentEras(eras: OrderingEra[], committed: Height): OrderingEra[] {
  eras.sort((a, b) => a.height - b.height);
  return eras.filter((_, i) => (eras[i + 1]?.height ?? committed + 1) > committed);
}

async function readParent(options: BuiltinEngineOptions, info: AppInfo) {
  if (info.height === 0) {
    const block: ParentBlock = { height: 0, hash: options.ledgerId, time: options.genesisTime };
    return {
      block,
      certificate: new Uint8Array(0),
      lastSetChangeHeight: 1,
      changed: false,
      engineEpoch: options.engineEpoch ?? 0,
      nextValidatorsHash: undefined,
    };
  }
  const [stored] = await options.blocks.blocks(info.height, info.height, 1);
  const header = stored === undefined ? undefined : decodeBlock(stored.bytes).header;
  const hash = header === undefined ? undefined : hashHeader(header);
  if (
    stored === undefined ||
    header === undefined ||
    hash === undefined ||
    header.height !== info.height ||
    !equalBytes(hash, info.blockHash)
  ) {
    throw new HanseError(
      "ORDERING_STATE_MISMATCH",
      "corrupt",
      `the ledger says height ${info.height} but its block is missing or another`,
    );
  }
  const { time, policyExtra } = header;
  const block: ParentBlock = { height: info.height, hash, time, policyExtra };
  return {
    block,
    certificate: stored.certificate,
    lastSetChangeHeight: header.lastSetChangeHeight,
    changed: !equalBytes(info.stateRoot, header.prevStateRoot),
    engineEpoch: header.engineEpoch,
    nextValidatorsHash: header.nextValidatorsHash,
  };
}
