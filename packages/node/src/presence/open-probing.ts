/**
 * The prober of a node: reads from the ledger whom to ask, answers others, keeps what it saw, and
 * brings one report per epoch to the ledger, signed by an account of its organization.
 */
import { randomBytes } from "node:crypto";
import type { Ledger } from "@hanse/ledger";
import { encodeNativeCall, readProbing } from "@hanse/modules";
import {
  type Clock,
  decodeProbeMessage,
  type EpochObservations,
  isProbeMessage,
  type OrderingStatus,
  type ProbeReport,
  Prober,
  type Transport,
} from "@hanse/ordering";
import {
  type Bytes,
  encodeNativeBody,
  encodeNativeTransaction,
  type KeyPair,
  nativeSignedMessage,
  signMessage,
  toHanseError,
  verifySignature,
} from "@hanse/protocol";
import type { StateView } from "@hanse/state";
import type { NodeIdentity } from "../composition/node-identity.ts";
import type { NodeLog } from "../log/create-log.ts";
import { saveReport } from "./report-files.ts";

export interface ProbingParts {
  readonly identity: Pick<NodeIdentity, "ledgerId" | "node" | "consensusKey">;
  /** Signs reports; without it they are kept and not sent. */
  readonly account: KeyPair | undefined;
  readonly folder: string;
  readonly ledger: Pick<Ledger, "submit" | "subscribe" | "tip">;
  readonly state: StateView;
  readonly ordering: () => Pick<OrderingStatus, "syncing" | "height" | "peers">;
  readonly transport: Pick<Transport, "onMessage" | "send" | "peers">;
  readonly clock: Clock;
  readonly log: NodeLog;
}

/** A report counts in its epoch and the next one; one that waits longer has missed it anyway. */
const REPORT_VALID_MS = 600_000;
const SUBMITS_MAX = 5;
const RETRY_MS = 1_000;

/** A node that executes a few heights after the others is busy; one further behind sees old epochs. */
const BEHIND_MAX = 10;

/**
 * Whether this node's blocks are of the past. More than a third of the peers must say so: a few
 * that lie about their height shall not keep it from reporting.
 */
export function isCatchingUp(
  status: Pick<OrderingStatus, "syncing" | "height" | "peers">,
): boolean {
  if (!status.syncing) return false;
  const heights = status.peers.map(({ height }) => height).sort((a, b) => b - a);
  const claimed = heights[Math.floor(heights.length / 3)];
  return claimed === undefined || claimed - status.height > BEHIND_MAX;
}

export function openProbing(parts: ProbingParts): { stop(): void } {
  const { identity, account, ledger, clock, transport } = parts;
  const { ledgerId, node, consensusKey } = identity;
  const log = parts.log.child({ part: "probing" });
  const retries = new Set<{ cancel(): void }>();
  let stopped = false;

  const prober = new Prober({
    ledgerId,
    self: node.id,
    transport,
    clock,
    sign: (message) => signMessage(consensusKey, message),
    verify: verifySignature,
    tip: () => ledger.tip,
    deliver: (seen) => void deliver(seen),
    report({ t, ...facts }) {
      if (t === "unexpected") log.debug(facts, "a probe's message is not expected");
      else log.warn(facts, `probing: ${t}`);
    },
  });

  function transactionOf({ prober: id, epoch, targets }: ProbeReport, key: KeyPair): Bytes {
    const list = targets.map((target) => [target.id, target.asked, target.answered]);
    const body = encodeNativeBody({
      ledgerId,
      sender: key.publicKey,
      nonce: randomBytes(8).readBigUInt64BE(),
      validUntil: clock.now() + REPORT_VALID_MS,
      engine: "native",
      payload: encodeNativeCall("presence", "report", { node: id, epoch, targets: list }),
    });
    return encodeNativeTransaction(body, signMessage(key, nativeSignedMessage(body)));
  }

  async function deliver(seen: EpochObservations): Promise<void> {
    const { report } = seen;
    const { epoch } = report;
    try {
      const file = saveReport(parts.folder, seen);
      if (account === undefined) {
        log.info({ epoch, file }, "a report is drawn up; keys.account is unset: it is not sent");
      }
    } catch (error) {
      log.error({ epoch, err: error }, "what was seen of others cannot be kept");
    }
    if (account === undefined) return;
    await submit(epoch, transactionOf(report, account), 1);
  }

  /** The same bytes each time: they can become part of the ledger once. */
  async function submit(epoch: number, bytes: Bytes, attempt: number): Promise<void> {
    if (stopped) return;
    try {
      await ledger.submit(bytes);
      log.debug({ epoch }, "a report is on its way");
    } catch (thrown) {
      const { code, kind, message } = toHanseError(thrown);
      const isPassing = kind === "unavailable" || kind === "limit";
      if (!isPassing || attempt >= SUBMITS_MAX) {
        log.warn({ epoch, code }, `a report was not taken: ${message}`);
        return;
      }
      const timer = clock.setTimer(attempt * RETRY_MS, () => {
        retries.delete(timer);
        void submit(epoch, bytes, attempt + 1);
      });
      retries.add(timer);
    }
  }

  transport.onMessage((from, channel, bytes) => {
    if (stopped || channel !== "sync" || !isProbeMessage(bytes)) return;
    try {
      prober.receive(from, decodeProbeMessage(bytes));
    } catch (thrown) {
      const { code } = toHanseError(thrown);
      log.warn({ peer: from, code }, "a peer sent what is no probe");
    }
  });

  const blocks = ledger.subscribe(ledger.tip.height + 1);
  async function follow(): Promise<void> {
    try {
      for await (const _ of blocks) {
        if (stopped || isCatchingUp(parts.ordering())) continue;
        prober.onBlock(readProbing(parts.state, ledger.tip.height));
      }
    } catch (error) {
      log.error({ err: toHanseError(error) }, "this node probes no more");
    }
  }
  void follow();

  return {
    stop() {
      stopped = true;
      blocks.close();
      for (const timer of retries) timer.cancel();
      prober.stop();
    },
  };
}
