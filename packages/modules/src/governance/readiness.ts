/** A node says that it is ready to validate, in the hand of its consensus key (spec/governance.md). */
import type { EngineKind, Height } from "@hanse/ordering";
import {
  type Bytes,
  DOMAINS,
  encodeCbor,
  HanseError,
  type Hash,
  type PublicKey,
  publicKeyFromText,
  publicKeyToCbor,
  publicKeyToText,
  withDomain,
} from "@hanse/protocol";
import type { Row, StateOverlay, StateView } from "@hanse/state";
import { READINESS } from "./tables.ts";

export interface Readiness {
  readonly node: string;
  readonly key: PublicKey;
  /** Software version, as the node calls it. */
  readonly version: string;
  /** The height that the node had executed when it signed. */
  readonly height: Height;
  /** Engines besides the ledger's own that it can run as it is set up. */
  readonly engines: readonly string[];
  /** Who brought it. */
  readonly account: Hash;
}

/** The bytes that the node's consensus key signs. */
export function readinessMessage(
  ledgerId: Hash,
  subject: Pick<Readiness, "node" | "key" | "version" | "height"> &
    Partial<Pick<Readiness, "engines">>,
): Bytes {
  const { node, key, version, height, engines = [] } = subject;
  return withDomain(
    DOMAINS.readiness,
    encodeCbor([ledgerId, node, publicKeyToCbor(key), version, height, engines]),
  );
}

function readinessFromRow(row: Row): Readiness {
  const [node, key, version, height, engines, account] = row.values;
  return {
    node: node as string,
    key: publicKeyFromText(key, `${READINESS}.key`),
    version: version as string,
    height: Number(height),
    engines: JSON.parse(engines as string) as string[],
    account: account as Hash,
  };
}

export function findReadiness(view: StateView, node: string): Readiness | undefined {
  const row = view.getRow(READINESS, node);
  return row && readinessFromRow(row);
}

export function listReadiness(view: StateView, limit: number): Readiness[] {
  return view.find({ table: READINESS, limit }).map(readinessFromRow);
}

export function putReadiness(overlay: StateOverlay, readiness: Readiness): void {
  const { node, version, height, account } = readiness;
  const key = publicKeyToText(readiness.key);
  const engines = JSON.stringify(readiness.engines);
  if (overlay.getRow(READINESS, node) === undefined) {
    overlay.insert(READINESS, [node, key, version, BigInt(height), engines, account]);
  } else {
    overlay.update(READINESS, node, { key, version, height: BigInt(height), engines, account });
  }
}

/**
 * `at.engine` is an engine other than the ledger's own that the node must be able to run.
 * @throws HanseError `GOVERNANCE_NOT_READY` naming the node and what it must do.
 */
export function requireReady(
  view: StateView,
  node: string,
  key: PublicKey,
  at: {
    readonly height: Height;
    readonly readinessBlocks: number;
    readonly engine?: EngineKind | undefined;
  },
): void {
  const found = findReadiness(view, node);
  const why =
    found === undefined
      ? "it never said that it is ready"
      : publicKeyToText(found.key) !== publicKeyToText(key)
        ? "it proved another key"
        : found.height + at.readinessBlocks < at.height
          ? `its proof is of height ${found.height}, older than ${at.readinessBlocks} blocks`
          : at.engine !== undefined && !found.engines.includes(at.engine)
            ? `it does not say that it can run ${at.engine}: set that up in its configuration`
            : undefined;
  if (why === undefined) return;
  throw new HanseError(
    "GOVERNANCE_NOT_READY",
    "rejected",
    `${node} is not ready: ${why}; run "hanse ledger ordering ready" with its consensus key, then approve again`,
    { details: { node } },
  );
}
