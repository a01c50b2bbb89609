/** Goal: what happens on a link becomes the right facts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LinkMeter } from "./link-meter.ts";

test("availability, reach, round trip, loss and bandwidth follow what was seen", () => {
  let now = 1000;
  const meter = new LinkMeter(() => now);
  assert.deepEqual(
    Object.values(meter.facts).filter((fact) => fact !== undefined),
    [],
    "nothing seen, nothing said",
  );
  meter.onAttempt(false);
  now += 10_000;
  meter.onAttempt(true);
  meter.onLink(true);
  for (const ms of [10, 30, 20]) meter.onProbe(ms);
  meter.onProbe(undefined);
  meter.onBurst(1000, 1); // Too small to say anything.
  meter.onBurst(1_250_000, 1000);
  now += 30_000;
  const { availability, reach, roundTripUs, loss, kilobitsPerSecond } = meter.facts;
  assert.ok(Math.abs(availability! - 750_000) < 2000, `${availability}`);
  assert.equal(reach, 500_000);
  assert.equal(roundTripUs, 20_000);
  assert.equal(loss, 250_000);
  assert.equal(kilobitsPerSecond, 10_000);
});

test("the past fades: hours of service outweigh an old outage", () => {
  let now = 0;
  const meter = new LinkMeter(() => now);
  now += 3_600_000;
  meter.onLink(true);
  for (let hour = 0; hour < 6; hour++) {
    now += 3_600_000;
    void meter.facts;
  }
  assert.ok(meter.facts.availability! > 980_000, `${meter.facts.availability}`);
});
