/** Goal: over any stretch of time no more leaves than the allowance and its burst; all links get a turn. */
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { OutboundBudget } from "./outbound-budget.ts";

test("links that wait are served in turn, at the rate set", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  let now = 0;
  const budget = new OutboundBudget(100_000, () => now);
  const sent = [0, 0, 0];
  const links = sent.map(
    (_, i) =>
      function resume() {
        while (budget.left >= 1) {
          budget.take(5000);
          sent[i]! += 5000;
          if (i < 2) break; // The third takes all it can get.
        }
        budget.wait(resume);
      },
  );
  for (const resume of links) resume();
  for (let step = 0; step < 2000; step++) {
    now += 5;
    mock.timers.tick(5);
  }
  budget.stop();
  mock.timers.reset();
  const total = sent[0]! + sent[1]! + sent[2]!;
  assert.ok(total <= 1_000_000 + 16_384 + 5000, `${total} bytes in ten seconds`);
  assert.ok(total >= 950_000, `${total} bytes in ten seconds`);
  for (const one of sent) assert.ok(one >= total / 4, `shares ${sent}`);
});

test("what must leave now leaves in debt, and the debt is paid before anything else", () => {
  let now = 0;
  const budget = new OutboundBudget(100_000, () => now);
  budget.take(216_384);
  assert.ok(budget.left < -190_000);
  now = 1900;
  assert.ok(budget.left < 1);
  now = 2100;
  assert.ok(budget.left >= 1);
});

test("0 means no bound", () => {
  const budget = new OutboundBudget(0, () => 0);
  budget.take(1e12);
  assert.ok(budget.left > 1e12);
});
