/** The node's log: JSON lines on standard output. Never secrets, never row contents. */
import { destination, type Logger, pino, stdSerializers } from "pino";

export type NodeLog = Logger;

/** @param fd where lines go; standard output unless said. */
export function createLog(level: string, base: Readonly<Record<string, string>>, fd = 1): NodeLog {
  return pino(
    {
      level,
      base,
      // Whatever passes by here under such a name is not for a log.
      redact: { paths: ["*.secretKey", "*.privateKeyPem", "*.url", "*.password"], censor: "***" },
      // An error under another name than pino's own would lose its message.
      serializers: { error: stdSerializers.err, cause: stdSerializers.err },
      formatters: { level: (label, number) => ({ level: number, severity: label }) },
    },
    destination({ fd, sync: true }),
  );
}
