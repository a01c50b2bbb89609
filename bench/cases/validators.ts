/**
 * What a block costs sets of 4 to 31 validators over links of 50 ms: production engines in virtual
 * time, so that the figures depend on no machine. Writes a table and a plot to bench/results.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { PLOT_CONFIG, renderPlot } from "@hanse/cli";
import type { BenchCase, Figures } from "../bench-case.ts";
import { formatFigure } from "../bench-case.ts";
import {
  BLOCK_TRANSACTIONS,
  measureSet,
  type SetCost,
  TRANSACTION_BYTES,
} from "../simulated/message-count.ts";

const SIZES = [4, 7, 16, 31];
const DELAY_MS = 50;
const RESULTS = fileURLToPath(new URL("../results/", import.meta.url));

/** How a cost grew between the smallest and the largest set, against the growth of the set. */
function growth(costs: readonly SetCost[], of: (cost: SetCost) => number): number {
  const first = costs[0]!;
  const last = costs.at(-1)!;
  return of(last) / of(first) / (last.validators / first.validators);
}

/** The same between neighbouring sizes: the steepest step. */
function steepest(costs: readonly SetCost[], of: (cost: SetCost) => number): number {
  const steps = costs.slice(1).map((cost, i) => growth([costs[i]!, cost], of));
  return Math.max(...steps);
}

function renderTable(costs: readonly SetCost[]): string {
  const rows = costs.map((cost) =>
    [
      cost.validators,
      cost.blocksPerSecond.toFixed(2),
      formatFigure(cost.messagesPerBlock),
      formatFigure(cost.bytesPerBlock),
      cost.messagesPerValidator.toFixed(1),
      formatFigure(cost.bytesPerValidator),
    ].join(" | "),
  );
  return [
    `Links of ${DELAY_MS} ms one way, ${BLOCK_TRANSACTIONS} transactions of ${TRANSACTION_BYTES} bytes a block, byzantine quorum.`,
    "",
    "| validators | blocks/s | messages a block | bytes a block | messages of each | bytes of each |",
    "| --- | --- | --- | --- | --- | --- |",
    ...rows.map((row) => `| ${row} |`),
    "",
  ].join("\n");
}

async function drawPlot(costs: readonly SetCost[]): Promise<string> {
  const panel = (field: string, title: string) => ({
    width: 260,
    height: 220,
    layer: [
      {
        mark: { type: "line" as const, point: { size: 50 } },
        encoding: {
          x: { field: "validators", type: "quantitative" as const, title: "validators" },
          y: { field, type: "quantitative" as const, title },
          color: { datum: "measured" },
        },
      },
      ...(field === "blocksPerSecond"
        ? []
        : [
            {
              mark: { type: "line" as const, strokeDash: [4, 4] },
              encoding: {
                x: { field: "validators", type: "quantitative" as const },
                y: { field: `${field}Linear`, type: "quantitative" as const },
                color: { datum: "in proportion to the set" },
              },
            },
          ]),
    ],
  });
  const first = costs[0]!;
  const values = costs.map((cost) => ({
    ...cost,
    kilobytes: cost.bytesPerValidator / 1000,
    kilobytesLinear: (first.bytesPerValidator / 1000) * (cost.validators / first.validators),
    messagesPerValidatorLinear: first.messagesPerValidator * (cost.validators / first.validators),
  }));
  return await renderPlot({
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    title: `Cost of a block by size of the set, links of ${DELAY_MS} ms`,
    config: PLOT_CONFIG,
    data: { values },
    hconcat: [
      panel("blocksPerSecond", "blocks per second"),
      panel("messagesPerValidator", "messages of each member"),
      panel("kilobytes", "kilobytes sent by each member"),
    ],
  });
}

export const validatorsCase: BenchCase = {
  name: "validators",
  about: "4, 7, 16 and 31 validators over links of 50 ms, in virtual time: what a block costs",
  targets: [
    // 1 = in proportion to the number of validators.
    { figure: "messages_growth_ratio", atMost: 1.05 },
    { figure: "bytes_growth_ratio", atMost: 1.05 },
  ],
  async run(context) {
    const costs: SetCost[] = [];
    for (const validators of SIZES) {
      const cost = await measureSet(validators, context.quick ? 10 : 30, DELAY_MS);
      context.note(
        `${validators} validators: ${cost.blocksPerSecond.toFixed(2)} blocks/s, ${formatFigure(cost.messagesPerBlock)} messages and ${formatFigure(cost.bytesPerBlock)} bytes a block`,
      );
      costs.push(cost);
    }
    mkdirSync(RESULTS, { recursive: true });
    writeFileSync(`${RESULTS}validators.md`, renderTable(costs));
    writeFileSync(`${RESULTS}validators.svg`, await drawPlot(costs));
    context.note(`written: ${RESULTS}validators.md, validators.svg`);
    const figures: Record<string, number> = {};
    for (const cost of costs) {
      const n = cost.validators;
      figures[`blocks_per_s_${n}`] = cost.blocksPerSecond;
      figures[`messages_per_block_${n}`] = cost.messagesPerBlock;
      figures[`bytes_per_block_${n}`] = cost.bytesPerBlock;
    }
    figures.messages_growth_ratio = steepest(costs, (cost) => cost.messagesPerValidator);
    figures.bytes_growth_ratio = steepest(costs, (cost) => cost.bytesPerValidator);
    return figures satisfies Figures;
  },
};
