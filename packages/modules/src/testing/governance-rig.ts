/** A governed ledger of several organizations in memory, and people who send it decisions. For tests. */
import type { ExecutionResult } from "@hanse/ordering";
import {
  type Bytes,
  type CborValue,
  type GenesisDocument,
  HanseError,
  type KeyPair,
  ledgerIdOf,
  publicKeyToCbor,
  sha256,
  signMessage,
  utf8,
} from "@hanse/protocol";
import {
  createRigGenesis,
  createRigNode,
  decide,
  draft,
  keyOf,
  type RigOptions,
  signPayload,
} from "../../../ledger/src/testing/ledger-rig.ts";
import { encodeNativeCall } from "../engine/native-engine.ts";
import { readinessMessage } from "../governance/readiness.ts";

export interface Outcome {
  readonly code: string;
  readonly error: string;
  readonly result: Record<string, unknown>;
}

export async function createGovernedLedger(
  options: RigOptions & { readonly genesis?: Partial<GenesisDocument> } = {},
) {
  const base = await createRigGenesis({
    organizations: ["a", "b", "c", "d"],
    people: ["ada"],
    ...options,
  });
  const genesis = { ...base.genesis, ...options.genesis };
  const rig = { ...base, genesis, ledgerId: ledgerIdOf(genesis) };
  const node = await createRigNode(rig, options);
  const person = (org: string, name = "admin") =>
    rig.people.find((one) => one.org === org && one.name === name)!.pair;

  /** One block with what waits; evidence is put in unchecked. */
  async function block(evidence: readonly Bytes[] = []): Promise<ExecutionResult> {
    const { tip } = node.ledger;
    const made = await draft(rig, node, tip.height, evidence);
    node.clock.advance(Math.max(0, made.header.time - node.clock.now()));
    const result = await node.ledger.finalizeBlock(decide(rig, made));
    await node.ledger.commit(made.header.height);
    node.clock.advance(rig.genesis.params.blockIntervalMsMin);
    return result;
  }

  const results = new Map<number, ExecutionResult>();

  /** Sends one call and puts it into a block of its own; refusals at admission are outcomes too. */
  async function call(
    pair: KeyPair,
    module: string,
    action: string,
    args: Readonly<Record<string, CborValue>>,
  ): Promise<Outcome> {
    const validUntil = node.clock.now() + 60_000;
    const payload = encodeNativeCall(module, action, args);
    const { bytes, id } = signPayload(pair, payload, { ledgerId: rig.ledgerId, validUntil });
    const [accepted] = await node.ledger.submitMany([bytes]);
    if (accepted instanceof HanseError) {
      return { code: accepted.code, error: accepted.message, result: {} };
    }
    const result = await block();
    results.set(result.height, result);
    const status = await node.ledger.status(id);
    if (status.state !== "final") return { code: status.state, error: "", result: {} };
    const { code, error, result: json } = status.outcome;
    return { code, error, result: code === "ok" ? (JSON.parse(json) ?? {}) : {} };
  }

  return {
    rig,
    node,
    person,
    block,
    call,
    /** What the block of this height told its engine. */
    executed: (height: number) => results.get(height),
    propose: (org: string, kind: string, content: unknown) =>
      call(person(org), "governance", "propose", { kind, content: JSON.stringify(content) }),
    approve: (org: string, proposal: number) =>
      call(person(org), "governance", "approve", { proposal }),
    withdraw: (org: string, proposal: number) =>
      call(person(org), "governance", "withdraw", { proposal }),
    query: (name: string, input: unknown = {}) =>
      node.ledger.query("native", `governance.${name}`, input, undefined) as Record<string, never>,
    /** Registers a further node of an organization. */
    register: (org: string, name: string, pair: KeyPair) =>
      call(person(org), "registry", "node.register", {
        id: `${org}/${name}`,
        key: publicKeyToCbor(pair.publicKey),
        tlsFingerprint: sha256(utf8(`tls of ${org}/${name}`)),
      }),
    ready(
      org: string,
      id: string,
      pair: KeyPair,
      over: Partial<{ height: number; engines: string[] }> = {},
    ) {
      const height = over.height ?? node.ledger.tip.height;
      const subject = {
        node: id,
        key: pair.publicKey,
        version: "1.0.0",
        height,
        engines: over.engines ?? [],
      };
      return call(person(org), "governance", "readiness", {
        node: id,
        key: publicKeyToCbor(pair.publicKey),
        version: subject.version,
        height,
        ...(over.engines === undefined ? {} : { engines: over.engines }),
        signature: signMessage(pair, readinessMessage(rig.ledgerId, subject)),
      });
    },
    nodeKey: (org: string) => keyOf(`node of ${org}`),
  };
}

export type GovernedLedger = Awaited<ReturnType<typeof createGovernedLedger>>;
