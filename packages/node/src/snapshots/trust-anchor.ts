/**
 * The trust anchor of a node: a later block that its operator believes beside the genesis, so that
 * keys of members that left long ago cannot lead a joining node onto another history.
 */
import { readFileSync } from "node:fs";
import { type LedgerReads, readKeptProof } from "@hanse/ledger";
import type { LedgerApp } from "@hanse/ordering";
import {
  equalBytes,
  HanseError,
  type Hash,
  hashHeader,
  type TrustedSet,
  toHanseError,
  toHex,
  trustedSetFromJson,
} from "@hanse/protocol";
import type { NodeConfig } from "../config/schema.ts";

/**
 * The anchor of `sync.trust`, if one is set.
 * @throws HanseError `NODE_ANCHOR` when it cannot be read or is of another ledger.
 */
export function loadAnchor({ sync }: NodeConfig, ledgerId: Hash): TrustedSet | undefined {
  const file = sync.trust;
  if (file === undefined) return undefined;
  const refuse = (reason: string): never => {
    const remedy = "get the file again from somebody you believe, or unset sync.trust";
    throw new HanseError("NODE_ANCHOR", "rejected", `sync.trust ${file}: ${reason}; ${remedy}`);
  };
  let anchor: TrustedSet;
  try {
    anchor = trustedSetFromJson(JSON.parse(readFileSync(file, "utf8")));
  } catch (thrown) {
    return refuse(thrown instanceof SyntaxError ? "it is no JSON" : toHanseError(thrown).message);
  }
  if (!equalBytes(anchor.ledgerId, ledgerId)) {
    refuse(`it is of the ledger ${toHex(anchor.ledgerId)}, not of ${toHex(ledgerId)}`);
  }
  return anchor;
}

function contradicted({ height }: TrustedSet, hash: Hash): HanseError {
  return new HanseError(
    "NODE_ANCHOR_CONTRADICTED",
    "conflict",
    `block ${height} here is ${toHex(hash)}, not that of the trust anchor (sync.trust): ask the other organizations which is right; if the anchor is, begin anew with --rejoin and other peers`,
    { details: { height } },
  );
}

/**
 * Compares the anchor's block with the one that is here, if it is.
 * @throws HanseError `NODE_ANCHOR_CONTRADICTED`
 */
export async function checkAnchor(
  anchor: TrustedSet,
  reads: Pick<LedgerReads, "block" | "header">,
): Promise<void> {
  const stored = anchor.height === 0 ? undefined : await readKeptProof(reads, anchor.height);
  if (stored?.proof === undefined) return;
  const hash = hashHeader(stored.proof.header);
  if (!equalBytes(hash, anchor.headerHash)) throw contradicted(anchor, hash);
}

/** The same ledger, which refuses a block at the anchor's height that is not the anchor's. */
export function guardByAnchor(app: LedgerApp, anchor: TrustedSet | undefined): LedgerApp {
  if (anchor === undefined) return app;
  return {
    info: () => app.info(),
    buildBlock: (request) => app.buildBlock(request),
    validateBlock: (block, hash) => app.validateBlock(block, hash),
    async finalizeBlock(decided) {
      const isThere = decided.block.header.height === anchor.height;
      if (isThere && !equalBytes(decided.hash, anchor.headerHash)) {
        throw contradicted(anchor, decided.hash);
      }
      return app.finalizeBlock(decided);
    },
    commit: (height) => app.commit(height),
    prove: (proof) => app.prove(proof),
    hasWork: () => app.hasWork(),
  };
}
