/** The rooms of the house from the ground up; ARCHITECTURE.md says what each owns. */

/** A room may import the rooms below it in this list, unless `only` narrows that. */
export const rooms: readonly {
  readonly name: string;
  /** No clock, randomness, timers, network, files or processes inside. */
  readonly pure: boolean;
  readonly only?: readonly string[];
}[] = [
  { name: "protocol", pure: true },
  { name: "state", pure: true },
  { name: "ordering", pure: true },
  { name: "ledger", pure: true },
  { name: "identity", pure: true },
  { name: "modules", pure: true },
  { name: "needle", pure: true, only: ["protocol"] },
  { name: "ecosystem", pure: true },
  { name: "engine-needle", pure: true },
  { name: "storage", pure: false },
  { name: "network", pure: false },
  { name: "libp2p", pure: false, only: ["protocol", "network"] },
  { name: "cometbft", pure: false, only: ["protocol", "ordering"] },
  { name: "etcd", pure: false, only: ["protocol", "ordering"] },
  { name: "verifier", pure: true, only: ["protocol"] },
  { name: "api", pure: false, only: ["protocol"] },
  { name: "sdk", pure: false, only: ["protocol", "api", "verifier"] },
  { name: "node", pure: false },
  { name: "cli", pure: false },
];

/** Files of pure rooms that stand at the edge on purpose, and why. */
export const edges: Readonly<Record<string, string>> = {
  "packages/verifier/src/main.ts": "the verifier as a program: reads the files it is given",
};

/** Names that say nothing about what a folder holds. */
export const bannedFolders = [
  "utils",
  "util",
  "helpers",
  "helper",
  "common",
  "misc",
  "types",
  "shared",
  "lib",
];

export const LINES_MAX = 520;

/** Files longer than LINES_MAX, and why. */
export const longFiles: Readonly<Record<string, string>> = {};
