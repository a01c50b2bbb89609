/**
 * More liars than the set tolerates: two of four members run twice, each copy with one of the honest
 * two. The ledger forks, as it must; what was said on the wire must name both liars and nobody else,
 * by the fork file that an outsider judges.
 */
import { createFixedPolicy, decodeMessage, type WireMessage } from "@hanse/ordering";
import {
  assembleCertificate,
  type Certificate,
  createForkFile,
  createValidatorSet,
  decodeFinalityProof,
  encodeForkFile,
  type FinalityProof,
  type ForkVerdict,
  quorumWeight,
  type SignedVote,
  sha256,
  toHex,
  utf8,
  type ValidatorSet,
  type VoteSubject,
  verifyForkFile,
} from "@hanse/protocol";
import { KeyRing } from "./keys.ts";
import type { LedgerSetup } from "./ledger.ts";
import { Network } from "./network.ts";
import { SimulatedNode } from "./node.ts";
import { Random } from "./random.ts";
import { World } from "./world.ts";

const MEMBERS = 4;
const LIARS = [0, 1];
const RUN_MS = 20_000;
const idOf = (place: number) => `org-${place}/node`;

export interface ForkedResult {
  /** Verdicts of the lowest forked height with all certificates of the wire, and with none. */
  readonly whole: ForkVerdict;
  readonly bare: ForkVerdict;
  readonly views: readonly [number, number];
  readonly liars: readonly string[];
}

/** Undefined when the ledger did not fork in this seed. */
export async function runForked(seed: number): Promise<ForkedResult | undefined> {
  const random = new Random(seed * 65_537 + 11);
  const world = new World();
  const keys = new KeyRing();
  const delayMsMax = random.pick([10, 60, 300]);
  const network = new Network(world, random.fork(), {
    loss: random.pick([0, 0.1]),
    proposalLoss: random.pick([0, 0.4]),
    duplication: 0,
    delayMsMin: 0.5,
    delayMsMax,
  });
  const held = Array.from({ length: MEMBERS }, (_, i) => keys.create(idOf(i)));
  const candidates = held.map(({ publicKey: key }, i) => ({
    id: idOf(i),
    org: `org-${i}`,
    key,
    vote: 1,
    propose: 1,
  }));
  const policy = createFixedPolicy();
  const ledger: LedgerSetup = {
    ledgerId: sha256(utf8(`forked ledger of seed ${seed}`)),
    policy,
    genesisSet: createValidatorSet(candidates, "byzantine"),
    candidates,
    blockTransactionsMax: 5,
  };
  const votes = new WireVotes(ledger.genesisSet, ledger.ledgerId);
  network.onSend = ({ id }, bytes) => votes.sent(id, bytes);
  const create = (place: number, address: string, guarded: boolean) =>
    new SimulatedNode({
      world,
      network,
      random: random.fork(),
      keys,
      key: held[place]!,
      ledger,
      policy,
      id: idOf(place),
      address,
      genesisTime: 1_700_000_000_000,
      clockSkewMs: 0,
      clockDrift: 0,
      mutation: undefined,
      guarded,
      hooks: () => ({ executed: () => {}, committed: () => {} }),
      report: () => {},
      diskMsMax: 5,
      signing: () => {},
    });
  const left = [
    ...LIARS.map((place) => create(place, idOf(place), false)),
    create(2, idOf(2), true),
  ];
  const right = [
    ...LIARS.map((place) => create(place, `${idOf(place)}#2`, false)),
    create(3, idOf(3), true),
  ];
  for (const { setup: a } of left) {
    for (const { setup: b } of right) {
      network.cut(a.address, b.address);
      network.cut(b.address, a.address);
    }
  }
  for (const node of [...left, ...right]) node.start();
  for (const [i, side] of [left, right].entries()) {
    world.after(random.between(10, 2_000), () => {
      for (const node of side) {
        node.ledger?.add(`payment to side ${i}`);
        node.engine?.wake();
      }
    });
  }
  await world.run(RUN_MS);
  const proofsOf = ({ store }: SimulatedNode) =>
    store.heights.map(({ block, certificate }) => decodeFinalityProof(certificate, block.header));
  const [one, other] = [proofsOf(left[2]!), proofsOf(right[2]!)];
  const at = one.findIndex((proof, i) => other[i] !== undefined && isOther(proof, other[i]!));
  if (at < 0) return undefined;
  const proofs = [one[at]!, other[at]!] as const;
  const trust = {
    ledgerId: ledger.ledgerId,
    height: 0,
    headerHash: ledger.ledgerId,
    set: ledger.genesisSet,
  };
  const judge = (certificates: readonly Certificate[]) => {
    const parts = { ledgerId: ledger.ledgerId, set: ledger.genesisSet, proofs, certificates };
    return verifyForkFile(encodeForkFile(createForkFile(parts)), trust, {
      verify: (key, message, signature) => keys.verify({ key, message, signature }),
    });
  };
  return {
    whole: judge(votes.certificates(at + 1)),
    bare: judge([]),
    views: [viewOf(proofs[0]), viewOf(proofs[1])],
    liars: LIARS.map(idOf),
  };
}

function viewOf(proof: FinalityProof): number {
  return proof.kind === "qc" ? proof.certificate.view : -1;
}

function isOther(a: FinalityProof, b: FinalityProof): boolean {
  return toHex(a.header.parentHash) === toHex(b.header.parentHash)
    ? toHex(a.header.txRoot) !== toHex(b.header.txRoot) || a.header.time !== b.header.time
    : true;
}

/** Votes that members put on the wire, bundled where they make a quorum. */
class WireVotes {
  readonly #set: ValidatorSet;
  readonly #ledgerId: Uint8Array;
  readonly #bySubject = new Map<string, { subject: VoteSubject; votes: Map<number, SignedVote> }>();

  constructor(set: ValidatorSet, ledgerId: Uint8Array) {
    this.#set = set;
    this.#ledgerId = ledgerId;
  }

  sent(id: string, bytes: Uint8Array): void {
    let message: WireMessage;
    try {
      message = decodeMessage(bytes);
    } catch {
      return;
    }
    if (message.t !== "vote" || message.kind === "finalize") return;
    const { kind, engineEpoch, height, view, blockHash, parentView, signature } = message;
    const member = this.#set.members.findIndex((item) => item.id === id);
    const subject: VoteSubject = {
      kind,
      ledgerId: this.#ledgerId,
      engineEpoch,
      height,
      view,
      validatorsHash: this.#set.hash,
      ...(blockHash === undefined ? {} : { blockHash }),
      ...(parentView === undefined ? {} : { parentView }),
    };
    const key = `${kind}/${height}/${view}/${blockHash && toHex(blockHash)}/${parentView}`;
    const found = this.#bySubject.get(key) ?? { subject, votes: new Map() };
    this.#bySubject.set(key, found);
    found.votes.set(member, { member, signature });
  }

  certificates(height: number): Certificate[] {
    const quorum = quorumWeight(this.#set);
    return [...this.#bySubject.values()]
      .filter(({ subject, votes }) => subject.height === height && votes.size >= quorum)
      .map(({ subject, votes }) => assembleCertificate(subject, this.#set, votes.values()));
  }
}
