/** Goal: the tree behind a weight is readable. Method: answers as a ledger gives them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import pc from "picocolors";
import { renderPolicy } from "./policy.ts";

const paint = pc.createColors(false);

test("a weight of posr is shown with what it was made of", () => {
  const lines = renderPolicy(
    {
      policy: "posr",
      policyParams: { epochBlocks: 8 },
      height: 30,
      epoch: { number: 3, from: 25, to: 32 },
      maintenance: [{ id: "b/node-1", fromEpoch: 5, toEpoch: 7 }],
      members: [
        {
          id: "a/node-1",
          vote: 1,
          propose: 25,
          why: {
            what: "propose weight",
            value: 25,
            from: [
              { what: "base", value: 10, on: "parameters of the policy", from: [] },
              {
                what: "bonus by good epochs",
                value: 15,
                from: [{ what: "good epochs, halved by others", value: 3, from: [] }],
              },
            ],
          },
        },
      ],
    },
    paint,
  );
  assert.deepEqual(lines, [
    "policy posr (epochBlocks=8) at height 30",
    "epoch 3: blocks 25 to 32",
    "maintenance: b/node-1 in epochs 5 to 6",
    "",
    "a/node-1  propose weight 25",
    "  10  base  parameters of the policy",
    "  15  bonus by good epochs",
    "    3  good epochs, halved by others",
  ]);
});

test("a pause of dpoa is shown with its end", () => {
  const lines = renderPolicy(
    {
      policy: "dpoa",
      policyParams: {},
      height: 9,
      members: [
        {
          id: "a/node-1",
          vote: 1,
          propose: 0,
          record: { turns: 0b10110, untilHeight: 509, untilTime: 0 },
        },
        { id: "b/node-1", vote: 1, propose: 1, record: null },
      ],
    },
    paint,
  );
  assert.deepEqual(lines, [
    "policy dpoa at height 9",
    "",
    "a/node-1  propose weight 0",
    "  3 of the last turns missed",
    "  pauses until height 509",
    "",
    "b/node-1  propose weight 1",
  ]);
});
