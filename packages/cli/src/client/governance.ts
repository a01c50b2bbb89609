/** What the commands ask and decide of a ledger's governance. */
import { readinessMessage } from "@hanse/modules";
import type { PolicyParams } from "@hanse/ordering";
import {
  fromHex,
  type Hash,
  type KeyPair,
  type PublicKey,
  publicKeyToCbor,
  type QuorumRule,
  signMessage,
} from "@hanse/protocol";
import type { LedgerClient, TransactionView } from "./ledger-client.ts";

export interface MemberView {
  readonly id: string;
  readonly org: string;
  /** As text, `ed25519:hex`. */
  readonly key: string;
  readonly vote: number;
  readonly propose: number;
}

export interface SetView {
  /** First height at which it is in force. */
  readonly from: number;
  readonly hash: string;
  readonly quorum: QuorumRule;
  readonly members: readonly MemberView[];
}

export interface RulesView {
  readonly params: Readonly<Record<string, number>>;
  readonly constitution: Readonly<Record<string, unknown>>;
  readonly barred: readonly string[];
  readonly ordering: {
    readonly engine: "builtin" | "cometbft" | "etcd";
    readonly engineEpoch: number;
    readonly since: number;
    readonly policy: "fixed" | "dpoa" | "posr";
    readonly policyParams: PolicyParams;
  };
  readonly change: {
    readonly at: number;
    readonly engineEpoch: number;
    readonly engine: string;
    readonly policy: string;
    readonly quorum: string;
  } | null;
  readonly queue: readonly {
    readonly id: string;
    readonly vote: number;
    readonly propose: number;
    readonly at: number;
  }[];
}

export interface ProposalView {
  readonly id: number;
  readonly kind: string;
  readonly content: unknown;
  readonly org: string;
  readonly approvals: readonly string[];
  readonly status: "open" | "executed" | "withdrawn" | "expired";
  readonly proposedAt: number;
  readonly expiresAt: number;
  readonly note: string;
}

export async function readSets(
  ledger: LedgerClient,
  caller: KeyPair,
): Promise<{ readonly now: SetView; readonly decided: SetView }> {
  return (await ledger.nativeQuery("governance.set", {}, caller)) as Awaited<
    ReturnType<typeof readSets>
  >;
}

export async function readRules(ledger: LedgerClient, caller: KeyPair): Promise<RulesView> {
  return (await ledger.nativeQuery("governance.rules", {}, caller)) as RulesView;
}

export async function readProposals(
  ledger: LedgerClient,
  caller: KeyPair,
  input: { readonly status?: string; readonly limit?: number } = {},
): Promise<readonly ProposalView[]> {
  return (await ledger.nativeQuery("governance.proposals", input, caller)) as ProposalView[];
}

/** Proposes for the administrator's organization, which approves by that. */
export function propose(
  ledger: LedgerClient,
  admin: KeyPair,
  kind: string,
  content: Readonly<Record<string, unknown>>,
): Promise<TransactionView> {
  return ledger.execute(admin, {
    module: "governance",
    action: "propose",
    args: { kind, content: JSON.stringify(content) },
  });
}

export function decideOn(
  ledger: LedgerClient,
  admin: KeyPair,
  action: "approve" | "withdraw",
  proposal: number,
): Promise<TransactionView> {
  return ledger.execute(admin, { module: "governance", action, args: { proposal } });
}

/** Brings the proof that a node has its consensus key and runs this version. */
export async function proveReadiness(
  ledger: LedgerClient,
  account: KeyPair,
  node: {
    readonly id: string;
    readonly key: KeyPair;
    readonly version: string;
    /** Engines besides the ledger's own that it can run. */
    readonly engines?: readonly string[];
  },
): Promise<TransactionView> {
  const { committedHeight: height } = await ledger.status();
  const { id, version, engines = [] } = node;
  const key = node.key.publicKey;
  const subject = { node: id, key, version, height, engines };
  const message = readinessMessage(fromHex(ledger.ledgerId), subject);
  return ledger.execute(account, {
    module: "governance",
    action: "readiness",
    args: {
      node: id,
      key: publicKeyToCbor(key),
      version,
      height,
      engines: [...engines],
      signature: signMessage(node.key, message),
    },
  });
}

/** Makes a node known to the others; `admin` must administer its organization. */
export function registerNode(
  ledger: LedgerClient,
  admin: KeyPair,
  node: {
    readonly id: string;
    readonly key: PublicKey;
    readonly tlsFingerprint: Hash;
    /** `host:port` where the other nodes reach it. */
    readonly address: string;
  },
): Promise<TransactionView> {
  const { id, key, tlsFingerprint, address } = node;
  return ledger.execute(admin, {
    module: "registry",
    action: "node.register",
    args: { id, key: publicKeyToCbor(key), tlsFingerprint, address },
  });
}
