/** The node's log: JSON lines on standard output. Never secrets, never row contents. */
import { destination, type Logger, pino } from "pino";

export type NodeLog = Logger;

export function createLog(level: string, base: Readonly<Record<string, string>>): NodeLog {
  return pino(
    {
      level,
      base,
      // Whatever passes by here under such a name is not for a log.
      redact: { paths: ["*.secretKey", "*.privateKeyPem", "*.url", "*.password"], censor: "***" },
      formatters: { level: (label, number) => ({ level: number, severity: label }) },
    },
    destination({ fd: 1, sync: true }),
  );
}
