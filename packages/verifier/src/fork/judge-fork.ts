/** Judging fork files for people and programs (spec/forks.md). */
import {
  type Bytes,
  type ForkFacts,
  type ForkVerdict,
  publicKeyToText,
  type ReceiptTrust,
  readyKeyBackends,
  toHex,
  verifyForkFile,
} from "@hanse/protocol";
import { withoutControls } from "../report.ts";

/** As `verifyForkFile` of the protocol, with the key backends made ready. */
export async function judgeForkFile(file: Bytes, trust: ReceiptTrust): Promise<ForkVerdict> {
  await readyKeyBackends();
  return verifyForkFile(file, trust);
}

function sentenceOf(facts: ForkFacts): string {
  const { liars, weight, tolerated, question, unattributable } = facts;
  if (liars.length > 0) {
    return `Verified. Block ${facts.height} was made final twice; ${liars.length} members lied, weight ${weight} where ${tolerated} is tolerated.`;
  }
  const proven = `Verified. Block ${facts.height} was made final twice.`;
  if (question === undefined) return `${proven} Nobody can be named: ${unattributable}.`;
  const what = question.kind === "nullify" ? "nullification" : "notarization";
  return `${proven} To name who lied, ask for the ${what} of view ${question.view}: who signed that it was there and cannot show it lied.`;
}

/** Lines for a terminal: each check, who lied or is to be asked, the verdict last. */
export function forkReportLines(verdict: ForkVerdict): string[] {
  const width = Math.max(...verdict.checks.map((check) => check.name.length));
  const lines = verdict.checks.map(
    ({ name, ok, detail }) => `${ok ? "  ok  " : "FAILED"}  ${name.padEnd(width)}  ${detail}`,
  );
  const { facts } = verdict;
  if (facts === undefined) return [...lines, "", `Refused. ${verdict.reason}`].map(withoutControls);
  lines.push(
    "",
    `Blocks of height ${facts.height}`,
    ...facts.blocks.map((hash) => `  ${toHex(hash)}`),
  );
  if (facts.liars.length > 0) lines.push("", "Signed what excludes each other");
  for (const { member, offences } of facts.liars) {
    lines.push(`  ${member.id} of ${member.org}, weight ${member.vote}: ${offences.join(", ")}`);
    lines.push(`    ${publicKeyToText(member.key)}`);
  }
  if (facts.question !== undefined) {
    lines.push(
      "",
      "To be asked",
      ...facts.question.asked.map(({ id, org }) => `  ${id} of ${org}`),
    );
  }
  return [...lines, "", sentenceOf(facts)].map(withoutControls);
}

/** A plain object for JSON.stringify. */
export function forkVerdictToJson({ ok, checks, reason, facts }: ForkVerdict) {
  return {
    ok,
    ...(reason === undefined ? {} : { reason }),
    checks,
    ...(facts === undefined
      ? {}
      : {
          height: facts.height,
          blocks: facts.blocks.map(toHex),
          liars: facts.liars.map(({ member, offences }) => ({
            ...member,
            key: publicKeyToText(member.key),
            offences,
          })),
          weight: facts.weight,
          tolerated: facts.tolerated,
          ...(facts.unattributable === undefined ? {} : { unattributable: facts.unattributable }),
          ...(facts.question === undefined
            ? {}
            : {
                question: {
                  kind: facts.question.kind,
                  view: facts.question.view,
                  ...(facts.question.blockHash === undefined
                    ? {}
                    : { blockHash: toHex(facts.question.blockHash) }),
                  asked: facts.question.asked.map(({ id }) => id),
                },
              }),
        }),
  };
}
