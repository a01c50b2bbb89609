import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type PublicKey, sha256, utf8 } from "@hanse/protocol";
import fc from "fast-check";
import type { SignPlace } from "../engine/interfaces.ts";
import { createMemoryDisk, type MemoryDisk } from "../testing/memory-disk.ts";
import { SLOT_NAMES } from "./sign-state.ts";
import { createSigningState, openSigner } from "./signer.ts";

const ledgerId = sha256(utf8("ledger"));
const publicKey: PublicKey = { algorithm: "ed25519", bytes: sha256(utf8("key")) };

function sign(message: Uint8Array): Uint8Array {
  const signature = new Uint8Array(64);
  signature.set(sha256(message));
  return signature;
}

function open(disk: MemoryDisk, over: { ledgerId?: Uint8Array; publicKey?: PublicKey } = {}) {
  return openSigner({ disk, id: "a/node", publicKey, ledgerId, sign, ...over });
}

async function created(): Promise<MemoryDisk> {
  const disk = createMemoryDisk();
  await createSigningState(disk, { ledgerId, publicKey });
  return disk;
}

function at(kind: SignPlace["kind"], height: number, view: number): SignPlace {
  return { kind, height, view };
}

describe("signer", () => {
  it("is in quarantine without a signing state, and making a second one is refused", async () => {
    const disk = createMemoryDisk();
    const signer = open(disk);
    assert.equal(signer.quarantined, "signing-state-missing");
    assert.throws(() => signer.sign(at("nullify", 1, 0), utf8("m")), {
      code: "SIGNER_QUARANTINED",
    });
    signer.flush(1);
    assert.equal(disk.files.size, 0, "nothing is made up");
    await createSigningState(disk, { ledgerId, publicKey });
    assert.equal(open(disk).quarantined, undefined);
    await assert.rejects(createSigningState(disk, { ledgerId, publicKey }), {
      code: "SIGNER_EXISTS",
    });
  });

  it("names a damaged, a foreign ledger's and another key's state", async () => {
    const disk = await created();
    disk.write(SLOT_NAMES[0], utf8("rubbish"));
    assert.equal(open(disk).quarantined, "signing-state-corrupt");
    const other = { algorithm: "ed25519", bytes: sha256(utf8("other")) } as const;
    assert.equal(open(await created(), { publicKey: other }).quarantined, "signing-state-foreign");
    const foreign = open(await created(), { ledgerId: sha256(utf8("other ledger")) });
    assert.equal(foreign.quarantined, "signing-state-foreign");
  });

  it("signs the same again and refuses everything that contradicts, also after restarts", async () => {
    const disk = await created();
    let signer = open(disk);
    const first = signer.sign(at("notarize", 5, 2), utf8("block a"));
    signer.sign(at("finalize", 5, 2), utf8("block a"));
    for (let restart = 0; restart < 3; restart++) {
      assert.deepEqual(signer.sign(at("notarize", 5, 2), utf8("block a")), first);
      const refusals: [SignPlace, string, string][] = [
        [at("notarize", 5, 2), "block b", "SIGNER_CONTRADICTION"],
        [at("nullify", 5, 2), "none", "SIGNER_CONTRADICTION"],
        [at("notarize", 5, 1), "block a", "SIGNER_BEHIND"],
        [at("nullify", 4, 9), "none", "SIGNER_BEHIND"],
      ];
      for (const [place, message, code] of refusals) {
        assert.throws(() => signer.sign(place, utf8(message)), { code });
      }
      signer.flush(0);
      signer = open(disk);
      assert.equal(signer.quarantined, undefined);
    }
    signer.sign(at("nullify", 5, 3), utf8("none"));
    assert.throws(() => signer.sign(at("notarize", 5, 3), utf8("late")), {
      code: "SIGNER_CONTRADICTION",
    });
    assert.throws(() => signer.sign(at("finalize", 5, 3), utf8("late")), {
      code: "SIGNER_CONTRADICTION",
    });
    assert.equal(signer.signed.length, 3, "this view's and the last one's");
  });

  it("never signs two things at one place, whatever is asked in whatever order", async () => {
    const disk = await created();
    const place = fc.record({
      kind: fc.constantFrom<SignPlace["kind"]>("propose", "notarize", "nullify", "finalize"),
      height: fc.integer({ min: 1, max: 3 }),
      view: fc.integer({ min: 0, max: 2 }),
    });
    const step = fc.tuple(place, fc.constantFrom("a", "b"), fc.boolean());
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const fresh = createMemoryDisk();
        for (const [name, bytes] of disk.files) fresh.write(name, bytes);
        let signer = open(fresh);
        const made = new Map<string, string>();
        for (const [p, message, restart] of steps) {
          const key = `${p.height}:${p.view}`;
          try {
            signer.sign(p, utf8(message));
          } catch {
            continue;
          }
          const before = made.get(`${key}:${p.kind}`);
          assert.ok(before === undefined || before === message);
          made.set(`${key}:${p.kind}`, message);
          assert.ok(!(made.has(`${key}:finalize`) && made.has(`${key}:nullify`)));
          signer.flush(0);
          if (restart) signer = open(fresh);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("falls back to the other slot when a write was torn, and to quarantine when both are bad", async () => {
    const disk = await created();
    const signer = open(disk);
    signer.sign(at("nullify", 1, 0), utf8("one"));
    signer.flush(3);
    signer.sign(at("nullify", 2, 0), utf8("two"));
    signer.flush(6);
    const newest = SLOT_NAMES.find((name) => {
      const copy = createMemoryDisk();
      for (const [other, bytes] of disk.files) if (other !== name) copy.write(other, bytes);
      return open(copy).signed[0]?.height === 1;
    })!;
    disk.write(newest, disk.files.get(newest)!.subarray(0, 20));
    const reopened = open(disk);
    assert.equal(reopened.quarantined, undefined);
    assert.equal(reopened.signed[0]?.height, 1);
    for (const name of SLOT_NAMES) disk.write(name, utf8("x"));
    assert.equal(open(disk).quarantined, "signing-state-corrupt");
  });

  it("goes into quarantine when the log lost what was durable", async () => {
    const disk = await created();
    const signer = open(disk);
    signer.sign(at("nullify", 1, 0), utf8("one"));
    signer.flush(10);
    const whole = open(disk);
    whole.confirmLog(10);
    assert.equal(whole.quarantined, undefined);
    const cut = open(disk);
    cut.confirmLog(9);
    assert.equal(cut.quarantined, "log-truncated");
  });

  it("after quarantine signs nothing below its floor, for good", async () => {
    const disk = createMemoryDisk();
    open(disk).restart(12);
    const signer = open(disk);
    assert.equal(signer.quarantined, undefined);
    assert.throws(() => signer.sign(at("notarize", 11, 0), utf8("m")), { code: "SIGNER_BEHIND" });
    signer.sign(at("notarize", 12, 0), utf8("m"));
    signer.flush(0);
    assert.equal(open(disk).floor, 12);
  });
});
