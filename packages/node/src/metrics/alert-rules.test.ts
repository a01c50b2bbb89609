/** Goal: the alerting rules that operators are given ask for metrics that nodes have. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parse } from "yaml";
import { createNodeMetrics, type MetricSources } from "./node-metrics.ts";

const file = new URL("../../../../docs/operators/alert-rules.yml", import.meta.url);

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string };
}

/** Nothing is scraped here: names and labels are known before. */
const nowhere = {} as MetricSources;

test("every metric of an alerting rule exists, with the labels asked for", () => {
  const metrics = createNodeMetrics({ process: false });
  metrics.watch(nowhere);
  const known = new Map(
    metrics.registry
      .getMetricsAsArray()
      .map((metric) => [metric.name, (metric as { labelNames?: readonly string[] }).labelNames]),
  );
  const { groups } = parse(readFileSync(file, "utf8")) as {
    groups: { name: string; rules: Rule[] }[];
  };
  const rules = groups.flatMap((group) => group.rules);
  assert.ok(rules.length >= 10);
  assert.equal(new Set(rules.map((rule) => rule.alert)).size, rules.length, "names are unique");
  for (const { alert, expr, labels, annotations } of rules) {
    assert.match(labels.severity, /^(critical|warning)$/, alert);
    assert.ok(annotations.summary.length > 0, alert);
    for (const [, name = "", selector = ""] of expr.matchAll(/\b(hanse_\w+)(?:\{([^}]*)\})?/gu)) {
      const base = name.replace(/_(bucket|sum|count)$/u, "");
      const labelNames = known.get(name) ?? known.get(base);
      assert.ok(known.has(name) || known.has(base), `${alert}: no metric ${name}`);
      for (const [, label = ""] of selector.matchAll(/(\w+)\s*=/gu)) {
        assert.ok(labelNames?.includes(label), `${alert}: ${name} has no label ${label}`);
      }
    }
  }
});
