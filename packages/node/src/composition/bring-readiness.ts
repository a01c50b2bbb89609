/** A node that a proposal waits for brings its proof of readiness by itself, by its account. */
import { randomBytes } from "node:crypto";
import type { Ledger } from "@hanse/ledger";
import { encodeNativeCall, proposalsWaitingFor, readinessMessage, readRules } from "@hanse/modules";
import {
  encodeNativeBody,
  encodeNativeTransaction,
  type KeyPair,
  nativeSignedMessage,
  publicKeyToCbor,
  signMessage,
  toHanseError,
} from "@hanse/protocol";
import type { StateView } from "@hanse/state";
import type { NodeLog } from "../log/create-log.ts";
import type { NodeIdentity } from "./node-identity.ts";

export interface ReadinessParts {
  readonly identity: Pick<NodeIdentity, "ledgerId" | "node" | "consensusKey">;
  /** Brings the proof; without it the node only says in its log that one is waited for. */
  readonly account: KeyPair | undefined;
  readonly version: string;
  /** Engines besides the ledger's own that this node can run now. */
  readonly engines: () => Promise<readonly string[]>;
  readonly ledger: Pick<Ledger, "submit" | "subscribe" | "tip">;
  readonly state: StateView;
  readonly clock: { now(): number };
  readonly log: NodeLog;
}

const PROOF_VALID_MS = 60_000;

/** Looks at each block; one proof for each proposal, and another when half of its life is over. */
export function openReadinessBringer(parts: ReadinessParts): { stop(): void } {
  const { account, ledger, state, version } = parts;
  const { ledgerId, node, consensusKey } = parts.identity;
  const key = consensusKey.publicKey;
  const log = parts.log.child({ part: "readiness" });
  /** By proposal, the height at which a proof was brought; open proposals alone. */
  let brought = new Map<number, number>();

  async function bring(signer: KeyPair, height: number): Promise<void> {
    const subject = { node: node.id, version, height, engines: [...(await parts.engines())] };
    const signature = signMessage(consensusKey, readinessMessage(ledgerId, { ...subject, key }));
    const args = { ...subject, key: publicKeyToCbor(key), signature };
    const body = encodeNativeBody({
      ledgerId,
      sender: signer.publicKey,
      nonce: randomBytes(8).readBigUInt64BE(),
      validUntil: parts.clock.now() + PROOF_VALID_MS,
      engine: "native",
      payload: encodeNativeCall("governance", "readiness", args),
    });
    await ledger.submit(
      encodeNativeTransaction(body, signMessage(signer, nativeSignedMessage(body))),
    );
  }

  async function onBlock(): Promise<void> {
    const { height } = ledger.tip;
    const waiting = proposalsWaitingFor(state, node.id, key, height);
    brought = new Map([...brought].filter(([id]) => waiting.includes(id)));
    const { readinessBlocks } = readRules(state).constitution;
    const isDue = (id: number) => {
      const at = brought.get(id);
      return at === undefined || 2 * (height - at) > readinessBlocks;
    };
    if (!waiting.some(isDue)) return;
    for (const id of waiting) brought.set(id, height);
    if (account === undefined) {
      const advice = 'set keys.account, or run "hanse ledger ordering ready"';
      log.warn({ proposals: waiting }, `proposals wait for this node's proof: ${advice}`);
      return;
    }
    try {
      await bring(account, height);
      log.info({ proposals: waiting }, "the proof of readiness is on its way");
    } catch (thrown) {
      const { code, message } = toHanseError(thrown);
      log.warn({ proposals: waiting, code }, `the proof of readiness was not taken: ${message}`);
    }
  }

  const blocks = ledger.subscribe(ledger.tip.height + 1);
  async function follow(): Promise<void> {
    try {
      await onBlock();
      for await (const _ of blocks) await onBlock();
    } catch (error) {
      log.error({ err: toHanseError(error) }, "this node brings no proofs any more");
    }
  }
  void follow();
  return { stop: () => blocks.close() };
}
