/** Goal: `no` is always true, memory stays bounded. Method: a plain map as model, random steps. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { sha256, utf8 } from "@hanse/protocol";
import fc from "fast-check";
import { createCommittedIds } from "./committed-ids.ts";

const idOf = (n: number) => sha256(utf8(`id ${n}`));

const step = fc.oneof(
  fc.record({
    do: fc.constant("add" as const),
    id: fc.nat(200),
    validUntil: fc.nat(100),
  }),
  fc.record({ do: fc.constant("drop" as const), time: fc.nat(100) }),
  fc.record({ do: fc.constant("spill" as const), from: fc.nat(100), width: fc.nat(20) }),
);

test("an id that was added and not dropped is never answered with no", () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 300 }),
      fc.integer({ min: 1, max: 60 }),
      (steps, capacity) => {
        const ids = createCommittedIds({ bucketMs: 7, capacity });
        const model = new Map<number, number>();
        let dropped = 0;
        for (const s of steps) {
          if (s.do === "add") {
            const before = model.get(s.id);
            // An id has one validUntil, for it is the hash of what holds it.
            const validUntil = before ?? s.validUntil;
            if (validUntil < dropped) continue;
            model.set(s.id, validUntil);
            ids.add(idOf(s.id), validUntil);
          } else if (s.do === "drop") {
            dropped = Math.max(dropped, s.time);
            ids.dropBefore(s.time);
          } else {
            ids.spill(s.from, s.from + s.width);
          }
          assert.ok(ids.count <= capacity);
        }
        for (const [id, validUntil] of model) {
          if (validUntil < dropped) continue;
          assert.equal(ids.check(idOf(id), validUntil), "perhaps");
        }
      },
    ),
    { numRuns: 200 },
  );
});

test("new ids are almost always answered with no, at 8 bytes each", () => {
  const ids = createCommittedIds({ bucketMs: 1_000, capacity: 100_000 });
  for (let i = 0; i < 20_000; i++) ids.add(idOf(i), 5_000 + (i % 3) * 1_000);
  assert.equal(ids.count, 20_000);
  let wrong = 0;
  for (let i = 20_000; i < 40_000; i++) {
    if (ids.check(idOf(i), 5_000 + (i % 3) * 1_000) !== "no") wrong++;
  }
  assert.equal(wrong, 0);
  assert.ok(ids.bytes <= 20_000 * 8 * 4, `${ids.bytes} bytes`);
  ids.dropBefore(9_000);
  assert.equal(ids.count, 0);
});
