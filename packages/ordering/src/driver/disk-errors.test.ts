/** A disk that is full or fails: the node stops for good, signs nothing more, and the others go on. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createSigningState } from "../signer/signer.ts";
import { EngineRig } from "../testing/engine-rig.ts";
import { createMemoryDisk, type MemoryDisk } from "../testing/memory-disk.ts";

const failures: Readonly<Record<string, (disk: MemoryDisk) => void>> = {
  "a sync that fails": (disk) => {
    disk.sync = () => Promise.reject(new Error("EIO: i/o error, fdatasync"));
  },
  "a full disk": (disk) => {
    disk.append = () => {
      throw new Error("ENOSPC: no space left on device, write");
    };
  },
  "a signing state that cannot be written": (disk) => {
    disk.write = () => {
      throw new Error("EIO: i/o error, write");
    };
  },
};

describe("disk errors", () => {
  for (const [what, fail] of Object.entries(failures)) {
    it(`${what} stops the node before anything is sent`, async () => {
      const rig = new EngineRig(4);
      const disk = createMemoryDisk();
      const { key } = rig.members[3]!;
      await createSigningState(disk, { ledgerId: rig.ledgerId, publicKey: key });
      for (const i of [0, 1, 2]) await rig.start(i);
      let signedLate = 0;
      const failing = await rig.start(3, { disk });
      await rig.decide(3);
      await rig.advance(500);
      const { append, write, sync } = disk;
      fail(disk);
      const before = failing.ledger.heights.length;
      for (const node of rig.nodes.slice(0, 3)) {
        const { receive } = node;
        node.receive = (from, message, channel) => {
          // A vote or a proposal carries a signature; status and requests may go on.
          const type = message[1] ?? 0;
          if (from === failing.id && (type === 1 || type === 2)) signedLate++;
          receive(from, message, channel);
        };
      }
      await rig.decide(4, "on");
      await rig.advance(2_000);
      const halted = failing.events.find((event) => event.t === "halted");
      assert.ok(halted?.t === "halted" && halted.code === "ORDERING_DISK", what);
      assert.match(halted.message, /EIO|ENOSPC/);
      assert.match(failing.engine.status().quarantined ?? "", /ORDERING_DISK/);
      assert.equal(signedLate, 0, "nothing signed leaves after the disk failed");
      assert.ok(rig.nodes[0]!.ledger.heights.length >= before + 4, "the others go on");
      // What failed once is not asked again, even when it would work now.
      Object.assign(disk, { append, write, sync });
      await rig.decide(1, "repaired");
      assert.ok(failing.ledger.heights.length < rig.height);
      // A new start reads what is there and takes part again.
      const again = await rig.start(3, { disk });
      await rig.decide(2, "again");
      await rig.advance(3_000);
      assert.equal(again.engine.status().quarantined, undefined);
      assert.equal(again.ledger.heights.length, rig.height);
      await rig.stop();
    });
  }

  it("a disk that fails at the start ends the start", async () => {
    const rig = new EngineRig(1);
    const disk = createMemoryDisk();
    const { key } = rig.members[0]!;
    await createSigningState(disk, { ledgerId: rig.ledgerId, publicKey: key });
    disk.sync = () => Promise.reject(new Error("EIO: i/o error, fdatasync"));
    await assert.rejects(rig.start(0, { disk }), /EIO/);
  });
});
