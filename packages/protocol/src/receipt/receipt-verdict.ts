/**
 * Judging receipts. Who may lie: whoever made or carried the receipt. Nothing in it is believed but
 * what a quorum of a trusted set, or of a set that a trusted one handed over to, has signed, and no
 * byte of it is left unchecked. The checks run in the order of spec/receipts.md and end at the
 * first that fails.
 */
import { type BlockHeader, hashHeader } from "../block/header.ts";
import type { ValidatorSet } from "../block/validator-set.ts";
import { type Bytes, equalBytes, toHex } from "../encoding/bytes.ts";
import { verifyFinality } from "../finality/finality-verdict.ts";
import { genesisValidatorSet, ledgerIdOf } from "../genesis/genesis-document.ts";
import type { Hash } from "../hash/domain.ts";
import { verifySignature } from "../keys/signatures.ts";
import { stateKeyHash, stateValueHash, verifyStateProof } from "../merkle/state-proof.ts";
import {
  decodeKvValue,
  decodeRowValue,
  decodeSchemaValue,
  decodeSequenceValue,
  type StateColumn,
} from "../merkle/state-value.ts";
import { hashLeaf, rootOfMerklePath, verifyMerklePath } from "../merkle/transaction-tree.ts";
import { hashOutcome, OUTCOME_OK, resultsRoot } from "../outcome/outcome.ts";
import { decodeNativeTransaction, TRANSACTION_FORMS } from "../transaction/native.ts";
import { CheckList, type ReceiptCheck, refuse } from "./check-list.ts";
import { decodeReceipt, type Receipt, type ReceiptTransaction, type StateFact } from "./receipt.ts";
import {
  createDigestSearch,
  describeStateKey,
  type ReceiptFacts,
  type StateFacts,
  type TransactionFacts,
} from "./receipt-facts.ts";
import type { ReceiptTrust } from "./receipt-trust.ts";

export interface ReceiptVerdict {
  readonly ok: boolean;
  /** In the order they ran; the last one failed when `ok` is false. */
  readonly checks: readonly ReceiptCheck[];
  /** Why not, when `ok` is false. */
  readonly reason?: string;
  /** What is proven, when `ok` is true. */
  readonly facts?: ReceiptFacts;
}

/** A header that a set of the receipt's chain certified, with the set's place in the chain. */
interface CheckedHeader {
  readonly header: BlockHeader;
  readonly hash: Hash;
  readonly set: number;
}

/** From when to when a set of the receipt's chain certified blocks. */
interface Reign {
  readonly set: ValidatorSet;
  /** First height; 0 while nothing is known of it. */
  first: number;
  /** Last height; Infinity for the last set of the chain. */
  last: number;
}

function shortHex(bytes: Bytes): string {
  return `${toHex(bytes.subarray(0, 6))}…`;
}

function checkLink(below: CheckedHeader | undefined, at: CheckedHeader, ledgerId: Hash): void {
  const { header } = at;
  if (header.height < 1) refuse("a header has height 1 or more");
  if (header.height === 1 && !equalBytes(header.parentHash, ledgerId)) {
    refuse("the first block does not follow the ledger's genesis");
  }
  if (below === undefined) return;
  if (header.height <= below.header.height) refuse("blocks must stand in ascending order");
  if (header.time <= below.header.time) refuse("it is older than the block below");
  if (header.engineEpoch < below.header.engineEpoch) refuse("its engine epoch goes backwards");
  if (header.height === below.header.height + 1 && !equalBytes(header.parentHash, below.hash)) {
    refuse(`it does not follow block ${below.header.height}`);
  }
}

/** Checks every header and certificate along the chain of sets; returns who reigned when. */
function checkBlocks(
  list: CheckList,
  receipt: Receipt,
  firstHeight: number | undefined,
): { readonly headers: ReadonlyMap<number, CheckedHeader>; readonly reigns: readonly Reign[] } {
  const reigns: Reign[] = receipt.sets.map((set) => ({ set, first: 0, last: Infinity }));
  const headers = new Map<number, CheckedHeader>();
  let current = 0;
  let started = firstHeight;
  let below: CheckedHeader | undefined;
  let handedOver = false;
  reigns[0]!.first = firstHeight ?? 0;
  for (const proof of receipt.blocks) {
    const { header } = proof;
    const reign = reigns[current]!;
    list.run(`block ${header.height}`, () => {
      const at: CheckedHeader = { header, hash: hashHeader(header), set: current };
      if (!equalBytes(header.ledgerId, receipt.ledgerId)) refuse("it belongs to another ledger");
      checkLink(below, at, receipt.ledgerId);
      // Members of a past set can still sign: their power ended with the block that handed over.
      if (handedOver) refuse("the receipt lacks the set that the block below hands over to");
      if (!equalBytes(header.validatorsHash, reign.set.hash)) {
        refuse("it was validated by a set that the receipt does not lead to");
      }
      // A header names the height where its set began: no change can be left out of the chain.
      started ??= header.lastSetChangeHeight;
      if (header.lastSetChangeHeight !== started || started > header.height) {
        refuse(`its validator set began at ${header.lastSetChangeHeight}, expected ${started}`);
      }
      reign.first = started;
      const verdict = verifyFinality(proof, { ledgerId: receipt.ledgerId, set: reign.set });
      if (!verdict.ok) refuse(verdict.reason);
      headers.set(header.height, at);
      below = at;
      const { length } = verdict.signers;
      return [`${shortHex(at.hash)} certified by ${length} of ${reign.set.members.length}`, at];
    });
    if (equalBytes(header.nextValidatorsHash, reign.set.hash)) continue;
    list.run(`set change at ${header.height + 1}`, () => {
      const next = reigns[current + 1];
      reign.last = header.height;
      if (next === undefined) {
        handedOver = true;
        return ["after the last block of the receipt", undefined];
      }
      if (!equalBytes(next.set.hash, header.nextValidatorsHash)) {
        refuse("the receipt's next set is not the one that the block hands over to");
      }
      current++;
      started = header.height + 1;
      next.first = started;
      return [`handed over to ${next.set.members.length} validators`, undefined];
    });
  }
  if (current !== reigns.length - 1) {
    list.run("validator sets", () => refuse("the receipt holds a set that no block hands over to"));
  }
  return { headers, reigns };
}

/** Place in the chain of the first set that may be believed. */
function checkTrust(
  trust: ReceiptTrust,
  headers: ReadonlyMap<number, CheckedHeader>,
  reigns: readonly Reign[],
): number {
  // With the genesis, the chain's first set was compared before any block was read.
  if ("genesis" in trust) return 0;
  const anchored = headers.get(trust.height);
  if (anchored !== undefined && !equalBytes(anchored.hash, trust.headerHash)) {
    refuse(`block ${trust.height} is not the trusted one`);
  }
  const above = headers.get(trust.height + 1);
  if (above !== undefined && !equalBytes(above.header.parentHash, trust.headerHash)) {
    refuse(`block ${trust.height + 1} does not follow the trusted block`);
  }
  const place = reigns.findIndex(
    (reign) =>
      reign.first <= trust.height &&
      trust.height <= reign.last &&
      equalBytes(reign.set.hash, trust.set.hash),
  );
  if (place < 0) {
    refuse(`the receipt does not lead through the set trusted at height ${trust.height}`);
  }
  return place;
}

function headerAt(
  headers: ReadonlyMap<number, CheckedHeader>,
  height: number,
  trustedFrom: number,
): CheckedHeader {
  const found = headers.get(height);
  if (found === undefined) refuse(`the receipt lacks block ${height}`);
  if (found.set < trustedFrom) refuse(`block ${height} is older than what is trusted`);
  return found;
}

type HeaderAt = (height: number) => CheckedHeader;

function checkTransaction(
  list: CheckList,
  transaction: ReceiptTransaction,
  ledgerId: Hash,
  at: HeaderAt,
): TransactionFacts {
  const { bytes, height, index, outcome } = transaction;
  const { header } = list.run("transaction in block", () => {
    const found = at(height);
    const { txRoot, txCount } = found.header;
    const place = { index, size: txCount };
    if (!verifyMerklePath(hashLeaf(bytes), place, transaction.path, txRoot)) {
      refuse(`it is not number ${index} of block ${height}`);
    }
    return [`number ${index} of ${txCount} in block ${height}`, found];
  });
  const form = bytes[0] ?? 0;
  const native = list.run("transaction signature", () => {
    if (form !== TRANSACTION_FORMS.native) {
      return [`form ${form} is not read here; the block's validators checked it`, undefined];
    }
    const decoded = decodeNativeTransaction(bytes);
    if (!equalBytes(decoded.body.ledgerId, ledgerId)) refuse("it was made for another ledger");
    if (!verifySignature(decoded.body.sender, decoded.signedMessage, decoded.signature)) {
      refuse("the sender's signature does not hold");
    }
    return [`signed by ${decoded.body.sender.algorithm} key of its sender`, decoded];
  });
  list.run("outcome", () => {
    // That it follows the transaction's block was checked with the chain of blocks.
    const { header: above } = at(height + 1);
    const place = { index, size: header.txCount };
    const root = rootOfMerklePath(hashOutcome(outcome), place, transaction.outcomePath);
    if (
      root === undefined ||
      !equalBytes(resultsRoot(root, transaction.views), above.prevResultsRoot)
    ) {
      refuse(`it is not the outcome that block ${height + 1} certifies`);
    }
    const told = outcome.code === OUTCOME_OK ? "succeeded" : `failed with ${outcome.code}`;
    return [`${told}, certified by block ${height + 1}`, undefined];
  });
  return {
    form,
    bytes,
    height,
    index,
    time: header.time,
    outcome,
    ...(native === undefined
      ? {}
      : {
          id: native.id,
          sender: native.body.sender,
          engine: native.body.engine,
          payload: native.body.payload,
        }),
  };
}

/** Checks one fact against its header; `columnsOf` finds the schema that the receipt proves. */
function checkFact(
  fact: StateFact,
  at: HeaderAt,
  columnsOf: (table: string, height: number) => readonly StateColumn[] | undefined,
): readonly [string, StateFacts] {
  const { height, key, value } = fact;
  const { header } = at(height + 1);
  const keyHash = stateKeyHash(key);
  const leaf = value === undefined ? fact.otherLeaf : { keyHash, valueHash: stateValueHash(value) };
  const proof = { keyHash, leaf, siblings: fact.siblings };
  const verdict = verifyStateProof(proof, header.prevStateRoot);
  if (verdict.kind === "invalid") refuse(verdict.reason);
  if ((verdict.kind === "membership") !== (value !== undefined)) {
    refuse("the proof shows the key present, the receipt calls it absent");
  }
  const base = { height, certifiedAt: header.time, key, present: value !== undefined };
  const where = `after block ${height}, certified by block ${height + 1}`;
  if (value === undefined) return [`absent ${where}`, base];
  const detail = `present ${where}`;
  switch (key.kind) {
    case "row": {
      const columns = columnsOf(key.table, height);
      if (columns === undefined) refuse(`the receipt lacks the schema of table ${key.table}`);
      const row = decodeRowValue(columns, value);
      return [detail, { ...base, row: { columns, ...row } }];
    }
    case "kv":
      return [detail, { ...base, entry: decodeKvValue(value) }];
    case "schema":
      return [detail, { ...base, columns: decodeSchemaValue(value).columns }];
    case "sequence":
      return [detail, { ...base, next: decodeSequenceValue(value) }];
  }
}

function checkState(list: CheckList, facts: readonly StateFact[], at: HeaderAt): StateFacts[] {
  const columns = new Map<string, readonly StateColumn[]>();
  const placeOf = (table: string, height: number) => `${height}/${table}`;
  const columnsOf = (table: string, height: number) => columns.get(placeOf(table, height));
  const verified = new Map<StateFact, StateFacts>();
  // Schemas first: rows are read by them.
  for (const isSchema of [true, false]) {
    for (const fact of facts) {
      if ((fact.key.kind === "schema") !== isSchema) continue;
      const said = list.run(describeStateKey(fact.key), () => checkFact(fact, at, columnsOf));
      verified.set(fact, said);
      if (fact.key.kind === "schema" && said.columns !== undefined) {
        columns.set(placeOf(fact.key.table, fact.height), said.columns);
      }
    }
  }
  return facts.map((fact) => verified.get(fact)!);
}

/**
 * Whether a receipt file proves what it says to someone who trusts the genesis document or a set.
 * Never throws on bad input: each step is a named check, and the first that fails is the reason.
 * @throws HanseError `KEYS_NOT_READY` before `readyKeyBackends`, or `GENESIS_INVALID` on a genesis
 * document that breaks its own rules.
 */
export function verifyReceipt(bytes: Bytes, trust: ReceiptTrust): ReceiptVerdict {
  const trusted =
    "genesis" in trust
      ? { ledgerId: ledgerIdOf(trust.genesis), firstSet: genesisValidatorSet(trust.genesis) }
      : { ledgerId: trust.ledgerId, firstSet: undefined };
  const list = new CheckList("receipt");
  try {
    const receipt = list.run("receipt file", () => {
      const decoded = decodeReceipt(bytes);
      if (decoded.sets.length === 0) refuse("it holds no validator set");
      if (decoded.blocks.length === 0) refuse("it holds no block");
      if (decoded.transaction === undefined && decoded.facts.length === 0) {
        refuse("it states nothing: neither a transaction nor a fact of the state");
      }
      return [`${bytes.length} bytes in canonical form`, decoded];
    });
    list.run("ledger", () => {
      if (!equalBytes(receipt.ledgerId, trusted.ledgerId)) {
        refuse(`the receipt is of ledger ${shortHex(receipt.ledgerId)}, not of the trusted one`);
      }
      const { firstSet } = trusted;
      if (firstSet !== undefined && !equalBytes(receipt.sets[0]!.hash, firstSet.hash)) {
        refuse("the receipt does not begin with the validators of the genesis");
      }
      return [toHex(receipt.ledgerId), undefined];
    });
    const { headers, reigns } = checkBlocks(list, receipt, "genesis" in trust ? 1 : undefined);
    const trustedFrom = list.run("trust", () => {
      const place = checkTrust(trust, headers, reigns);
      const origin = "genesis" in trust ? "the genesis" : `the set trusted at ${trust.height}`;
      return [`from ${origin} through ${reigns.length - 1 - place} set changes`, place];
    });
    const at: HeaderAt = (height) => headerAt(headers, height, trustedFrom);
    const { transaction } = receipt;
    const facts: ReceiptFacts = {
      ledgerId: receipt.ledgerId,
      ...("genesis" in trust
        ? { network: trust.genesis.network, ledger: trust.genesis.ledger }
        : {}),
      ...(transaction === undefined
        ? {}
        : { transaction: checkTransaction(list, transaction, receipt.ledgerId, at) }),
      state: checkState(list, receipt.facts, at),
    };
    const find = createDigestSearch(facts);
    for (const digest of receipt.documents) {
      list.run(`document ${shortHex(digest)}`, () => {
        const places = find(digest);
        if (places.length === 0) refuse("nothing that the receipt proves names it");
        return [`named in ${places.join(", ")}`, undefined];
      });
    }
    return { ok: true, checks: list.checks, facts };
  } catch (thrown) {
    return list.fail(thrown);
  }
}
