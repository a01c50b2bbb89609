/**
 * What happens to every block after its transactions: rules of the ledger itself, such as who
 * validates from which height on. Their state is the ledger's state, certified like any other.
 */
import type { EngineSwitch, ValidatorUpdate } from "@hanse/ordering";
import type { BlockHeader, Bytes, Hash, LedgerParams } from "@hanse/protocol";
import type { StateOverlay, StateView } from "@hanse/state";
import type { BlockContext } from "./interfaces.ts";

export interface BlockFacts {
  readonly block: BlockContext;
  readonly header: BlockHeader;
  /** Encoded certificate of the height below; empty at height 1. */
  readonly lastCert: Bytes;
  readonly evidence: readonly Bytes[];
  /** The block below; undefined at height 1. */
  readonly parent: { readonly header: BlockHeader; readonly lastCert: Bytes } | undefined;
}

export interface RuleResult {
  /** In force two heights later. */
  readonly validatorUpdates: readonly ValidatorUpdate[];
  readonly engineSwitch?: EngineSwitch;
  /**
   * Whether what the rule changed wants the proof of a block above. Counting alone must not: each
   * block would call for another, and an idle ledger would never fall silent.
   */
  readonly changed: boolean;
  /** Whether `inForce` may answer otherwise from now on. */
  readonly rulesChanged: boolean;
}

/** The limits in force for the next block, and what its header has to say of them. */
export interface RulesInForce {
  readonly params: LedgerParams;
  readonly paramsHash: Hash;
}

/**
 * Deterministic, integers only. A throw is a bug and stops the node: input that can be wrong is
 * refused where it comes from, in a transaction.
 */
export interface BlockRule {
  readonly name: string;
  afterBlock(facts: BlockFacts, state: StateOverlay): RuleResult;
  /**
   * Why a block may not carry this piece of evidence; undefined = it may. Deterministic on the state
   * below the block. Form and signatures are the ordering engine's to check.
   */
  evidenceFault(evidence: Bytes, state: StateView): string | undefined;
  /** Read back from the state, so that a restart finds what governance decided. */
  inForce(state: StateView): RulesInForce;
}

export const NO_RULE_RESULT: RuleResult = {
  validatorUpdates: [],
  changed: false,
  rulesChanged: false,
};
