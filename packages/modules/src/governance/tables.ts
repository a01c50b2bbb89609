/** What governance keeps in the ledger's state: open to proofs, history and SQL readers. */
import { utf8 } from "@hanse/protocol";
import type { StateOverlay, TableSchema } from "@hanse/state";

/** Every validator set, by the height from which it is in force. */
export const VALIDATOR_SETS = "validator_sets";
export const PROPOSALS = "governance_proposals";
/** The newest proof of readiness of each node. */
export const READINESS = "governance_readiness";
/** Proven offences of validators, one row for each. */
export const EVIDENCE = "governance_evidence";
/** Namespace of what the rule reads in every block. */
export const GOVERNANCE_KV = "governance";
/** The validator policy's record in it. */
export const POLICY_KEY = utf8("policy");

export const GOVERNANCE_TABLES: readonly TableSchema[] = [
  {
    name: VALIDATOR_SETS,
    columns: [
      { name: "from_height", type: "int" },
      { name: "hash", type: "bytes" },
      { name: "quorum", type: "text" },
      // [{id, org, key, vote, propose}], by id.
      { name: "members", type: "json" },
    ],
    indexes: [],
  },
  {
    name: PROPOSALS,
    columns: [
      { name: "id", type: "int" },
      { name: "kind", type: "text" },
      { name: "content", type: "json" },
      { name: "org", type: "text" },
      { name: "account", type: "bytes" },
      // Organizations, sorted.
      { name: "approvals", type: "json" },
      // open, executed or withdrawn; an open one whose last block has passed has expired.
      { name: "status", type: "text" },
      { name: "proposed_at", type: "int" },
      // Last block in which it can be approved.
      { name: "expires_at", type: "int" },
      { name: "decided_at", type: "int" },
      { name: "note", type: "text" },
    ],
    indexes: ["org", "status"],
  },
  {
    name: READINESS,
    columns: [
      { name: "node", type: "text" },
      { name: "key", type: "text" },
      { name: "version", type: "text" },
      { name: "height", type: "int" },
      // Engines besides the ledger's own, in the node's order.
      { name: "engines", type: "json" },
      { name: "account", type: "bytes" },
    ],
    indexes: [],
  },
  {
    name: EVIDENCE,
    columns: [
      // height:validator
      { name: "offence", type: "text" },
      { name: "validator", type: "text" },
      { name: "kind", type: "text" },
      { name: "height", type: "int" },
      // -1 of what another engine reported.
      { name: "view", type: "int" },
      { name: "recorded_at", type: "int" },
      // record, suspend or remove; record where the set could not do without the validator.
      { name: "consequence", type: "text" },
      { name: "note", type: "text" },
      { name: "evidence", type: "bytes" },
    ],
    indexes: ["validator"],
  },
];

export function createGovernanceTables(overlay: StateOverlay): void {
  for (const schema of GOVERNANCE_TABLES) overlay.createTable(schema);
}
