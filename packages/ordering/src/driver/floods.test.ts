/**
 * Whatever one member or a stranger sends, however often: a named outcome and a count, bounded
 * memory, and a ledger that goes on.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import v8 from "node:v8";
import vm from "node:vm";
import {
  type Bytes,
  encodeCbor,
  encodeCertificate,
  indicesToBitmap,
  sha256,
  utf8,
  type VoteKind,
  voteMessage,
} from "@hanse/protocol";
import { createEvidence, encodeEvidence } from "../evidence/evidence.ts";
import { EngineRig, type RigNode, rigSign } from "../testing/engine-rig.ts";
import { encodeMessage, type WireMessage } from "../wire/messages.ts";

v8.setFlagsFromString("--expose-gc");
const collect = vm.runInNewContext("gc") as () => void;

const LIAR = 3;
const FLOOD = 4_000;
/** Far below what unbounded keeping of a flood would take. */
const GROWTH_BYTES_MAX = 16 * 1024 * 1024;

class Attack {
  readonly rig = new EngineRig(4);
  get victim(): RigNode {
    return this.rig.nodes[0]!;
  }
  get liar(): string {
    return this.rig.members[LIAR]!.id;
  }

  /** Three honest nodes are up and have decided two heights. */
  async begin(): Promise<void> {
    await this.rig.startAll(3);
    await this.rig.decide(2);
    await this.rig.advance(200);
  }

  get height(): number {
    return this.victim.engine.status().height + 1;
  }

  vote(
    kind: VoteKind,
    height: number,
    view: number,
    block: string,
    over: { ledger?: string; epoch?: number; forged?: boolean } = {},
  ): Bytes {
    const engineEpoch = over.epoch ?? 0;
    const subject = {
      kind,
      height,
      view,
      engineEpoch,
      ...(kind === "nullify" ? {} : { blockHash: sha256(utf8(block)) }),
      ...(kind === "notarize" ? { parentView: -1 } : {}),
    };
    const ledgerId = over.ledger === undefined ? this.rig.ledgerId : sha256(utf8(over.ledger));
    const validatorsHash = this.rig.genesisSet.hash;
    const signature = rigSign(
      this.rig.secretOf(LIAR),
      voteMessage({ ...subject, ledgerId, validatorsHash }),
    );
    if (over.forged) signature[0]! ^= 1;
    return encodeMessage({ t: "vote", ...subject, signature });
  }

  certificate(kind: VoteKind, height: number, view: number, epoch = 0): Bytes {
    const certificate = encodeCertificate({
      kind,
      engineEpoch: epoch,
      height,
      view,
      validatorsHash: this.rig.genesisSet.hash,
      ...(kind === "nullify" ? {} : { blockHash: sha256(utf8(`block ${view}`)) }),
      ...(kind === "notarize" ? { parentView: -1 } : {}),
      signers: indicesToBitmap([0, 1, 2], 4),
      signatures: [0, 1, 2].map((i) => new Uint8Array(64).fill(i + view)),
    });
    return encodeMessage({ t: "certificate", certificate });
  }

  /** Sends the same kind of thing over and over, lets time pass, and says what was counted. */
  async flood(make: (i: number) => Bytes, from = this.liar): Promise<string[]> {
    const before = this.victim.events.length;
    collect();
    const heap = process.memoryUsage().heapUsed;
    for (let i = 0; i < FLOOD; i++) {
      this.victim.receive(from, make(i));
      if (i % 500 === 0) await this.rig.advance(1);
    }
    await this.rig.advance(1_500);
    collect();
    const growth = process.memoryUsage().heapUsed - heap;
    assert.ok(growth < GROWTH_BYTES_MAX, `memory grew by ${growth} bytes`);
    const events = this.victim.events.slice(before);
    const complaints = events.filter((event) => event.t === "badPeer");
    assert.ok(complaints.length < 20, "complaints are summed up");
    const outcomes = new Set<string>();
    for (const event of events) {
      if (event.t === "badPeer") outcomes.add(event.code);
      if (event.t === "dropped") outcomes.add(event.reason);
      if (event.t === "evidence") outcomes.add(event.evidence.kind);
      assert.notEqual(event.t, "halted", JSON.stringify(event));
    }
    return [...outcomes];
  }

  /** The ledger decides on, at every honest node. */
  async end(): Promise<void> {
    const { height } = this.rig;
    await this.rig.decide(2, "after the flood");
    await this.rig.advance(500);
    for (const node of this.rig.nodes) {
      assert.ok(node.ledger.heights.length >= height + 2, `${node.id} stands still`);
      assert.equal(node.engine.status().quarantined, undefined);
    }
    await this.rig.stop();
  }
}

const garbage: readonly (readonly [string, (i: number) => Bytes, RegExp])[] = [
  ["noise", (i) => sha256(utf8(`noise ${i}`)), /CBOR|ENCODING|FIELD|ORDERING_MESSAGE/],
  // An array, a byte string, that claim 2^40 entries.
  [
    "an array that lies about its length",
    () => Uint8Array.of(0x9b, 0, 0, 1, 0, 0, 0, 0, 0, 1),
    /CBOR/,
  ],
  [
    "bytes that lie about their length",
    () => Uint8Array.of(0x82, 3, 0x5b, 0, 0, 1, 0, 0, 0, 0, 0, 7),
    /CBOR/,
  ],
  ["an unknown type", () => encodeCbor([13, 1]), /ORDERING_MESSAGE/],
];

describe("floods", () => {
  it("of frames that are no messages", async () => {
    const attack = new Attack();
    await attack.begin();
    for (const [what, make, code] of garbage) {
      const outcomes = await attack.flood(make);
      assert.ok(
        outcomes.length > 0 && outcomes.every((outcome) => code.test(outcome)),
        `${what}: ${outcomes}`,
      );
    }
    await attack.end();
  });

  it("of votes: strangers', old, far ahead, of another epoch, forged, and contradicting", async () => {
    const attack = new Attack();
    await attack.begin();
    const h = attack.height;
    const has = async (outcome: string, make: (i: number) => Bytes, from?: string) => {
      const outcomes = await attack.flood(make, from);
      assert.ok(outcomes.includes(outcome), `${outcome} is not among ${outcomes}`);
    };
    await has("stranger", (i) => attack.vote("nullify", h, i % 9, ""), "nobody/node");
    await has("stale", (i) => attack.vote("nullify", 1, i, ""));
    await has("future", (i) => attack.vote("finalize", attack.height, 1_000 + i, "b"));
    await has("future", (i) => attack.vote("nullify", attack.height + 2 + i, 0, ""));
    await has("duplicate", (i) => attack.vote("nullify", attack.height + 1, i % 9, ""));
    await has("ORDERING_EPOCH", (i) =>
      attack.vote("nullify", attack.height, 0, "", { epoch: 1 + i }),
    );
    await has("ORDERING_VOTE_SIGNATURE", (i) =>
      attack.vote("notarize", attack.height, 0, `b${i}`, { forged: true }),
    );
    await attack.rig.decide(1);
    await has("ORDERING_VOTE_SIGNATURE", (i) =>
      attack.vote("finalize", attack.height, 0, `b${i}`, { ledger: "other" }),
    );
    await attack.rig.decide(1);
    await has("doubleFinalize", (i) => attack.vote("finalize", attack.height, 0, `b${i}`));
    await attack.end();
    const offences = attack.victim.ledger.heights.flatMap(({ block }) => block.evidence);
    assert.ok(offences.length > 0, "the contradiction stands on the ledger");
  });

  it("of certificates: forged, old, far ahead, of another epoch", async () => {
    const attack = new Attack();
    await attack.begin();
    const forged = await attack.flood((i) => attack.certificate("nullify", attack.height, i % 8));
    assert.ok(
      forged.includes("ORDERING_CERTIFICATE_SIGNATURE") && forged.includes("muted"),
      `${forged}`,
    );
    await attack.rig.advance(130_000);
    const stale = await attack.flood((i) => attack.certificate("finalize", 1, i));
    assert.ok(stale.includes("stale"), `${stale}`);
    const epoch = await attack.flood((i) => attack.certificate("notarize", attack.height, i, 7));
    assert.ok(epoch.includes("ORDERING_EPOCH"), `${epoch}`);
    // Of heights that nobody has: a claim, which costs the liar its word when it cannot serve them.
    await attack.flood((i) => attack.certificate("finalize", attack.height + 1_000 + i, 0));
    await attack.end();
  });

  it("of requests, bodies, ranges and evidence that nobody asked for", async () => {
    const attack = new Attack();
    await attack.begin();
    const block = attack.victim.ledger.heights[0]!.bytes;
    const signature = new Uint8Array(64);
    const place = (i: number) => ({ height: attack.height - 1, view: i, signature });
    const messages: readonly (readonly [string, (i: number) => WireMessage])[] = [
      ["rate", (i) => ({ t: "need", height: attack.height, view: i })],
      ["rate", (i) => ({ t: "getBlock", height: attack.height, hash: sha256(utf8(`${i}`)) })],
      ["rate", () => ({ t: "getRange", from: 1, to: 64 })],
      ["rate", (i) => ({ t: "status", height: 1, lowest: 1, nonce: i + 1, ask: true })],
      ["unasked", () => ({ t: "block", block })],
      [
        "ORDERING_EVIDENCE_SIGNATURE",
        (i) => ({
          t: "evidence",
          evidence: encodeEvidence(
            createEvidence(
              {
                engineEpoch: 0,
                validatorsHash: attack.rig.genesisSet.hash,
                validator: attack.rig.members[1]!.id,
              },
              { ...place(i), kind: "finalize", blockHash: sha256(utf8("a")) },
              { ...place(i), kind: "nullify" },
            ),
          ),
        }),
      ],
    ];
    for (const [outcome, make] of messages) {
      const outcomes = await attack.flood((i) => encodeMessage(make(i)));
      assert.ok(outcomes.includes(outcome), `${outcome} is not among ${outcomes}`);
    }
    await attack.flood(() =>
      encodeMessage({
        t: "range",
        from: attack.height,
        blocks: [block],
        certificate: new Uint8Array(0),
      }),
    );
    await attack.end();
    assert.ok(
      attack.rig.nodes.every((n) => n.ledger.heights.every((b) => b.block.evidence.length === 0)),
    );
  });

  it("a clock that is off by an hour, either way, costs its owner its turns and nobody else", async () => {
    for (const skewMs of [3_600_000, -3_600_000]) {
      const rig = new EngineRig(4);
      for (const i of [0, 1, 2]) await rig.start(i);
      await rig.start(3, { clock: rig.clock(skewMs) });
      await rig.decide(8);
      await rig.advance(2_000);
      for (const node of rig.nodes) {
        assert.ok(node.ledger.heights.length >= 8, node.id);
        assert.ok(!node.events.some((event) => event.t === "halted"));
      }
      const own = rig.nodes[0]!.ledger.heights.filter(
        ({ block }) => block.header.proposer === rig.members[3]!.id,
      );
      // One that is slow takes the parent's time for its blocks, and these are good.
      if (skewMs > 0) assert.equal(own.length, 0);
      await rig.stop();
    }
  });
});
