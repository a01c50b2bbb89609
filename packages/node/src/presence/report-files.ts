/** What a node saw of others, epoch by epoch, kept to be shown: reports and the answers behind them. */
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { EpochObservations } from "@hanse/ordering";
import { toHex } from "@hanse/protocol";

/** Newest epochs kept. */
export const EPOCHS_KEPT = 16;

const NAME = /^epoch-(\d{1,15})\.json$/;

/** Plain JSON, bytes as hex. */
function toJson({ report, observations }: EpochObservations): string {
  const seen = observations.map(({ target, slot, moment, answer }) => ({
    target,
    slot,
    moment: toHex(moment),
    answer: answer && {
      challenge: toHex(answer.challenge),
      tipHeight: answer.tipHeight,
      tipHash: toHex(answer.tipHash),
      signature: toHex(answer.signature),
    },
  }));
  return `${JSON.stringify({ report, observations: seen }, undefined, 1)}\n`;
}

/** Writes `epoch-N.json` whole, and lets the oldest go. @returns The file. */
export function saveReport(folder: string, seen: EpochObservations): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, `epoch-${seen.report.epoch}.json`);
  writeFileSync(`${file}.new`, toJson(seen), { mode: 0o600 });
  renameSync(`${file}.new`, file);
  const epochs = readdirSync(folder)
    .map((name) => Number(NAME.exec(name)?.[1] ?? Number.NaN))
    .filter((epoch) => !Number.isNaN(epoch))
    .sort((a, b) => b - a);
  for (const epoch of epochs.slice(EPOCHS_KEPT)) rmSync(join(folder, `epoch-${epoch}.json`));
  return file;
}
