/** The network that `npm start` shows: four organizations that serve deeds (examples/deeds). */
import path from "node:path";
import { fileURLToPath } from "node:url";
import {
  ADMIN_ROLE,
  NETWORK_ADMIN_ROLE,
  type NetworkTemplate,
  validateTemplate,
} from "../network-folder/template.ts";

/** Root of the repository, where examples and this package stand. */
export const REPOSITORY_FOLDER = fileURLToPath(new URL("../../../../", import.meta.url));
export const DEEDS_FOLDER = path.join(REPOSITORY_FOLDER, "examples", "deeds");

export interface Person {
  readonly name: string;
  readonly org: string;
  readonly roles: readonly string[];
  readonly about: string;
}

const ORGANIZATIONS = [
  { id: "adler-law", name: "Adler Law" },
  { id: "brandt-law", name: "Brandt Law" },
  { id: "bailiff-nord", name: "Bailiff's Office Nord" },
  { id: "court", name: "Court" },
] as const;

/** Registered by the administrators of their organizations once the network runs. */
export const PEOPLE: readonly Person[] = [
  { name: "anna", org: "adler-law", roles: ["lawyer"], about: "deposits and assigns deeds" },
  { name: "bruno", org: "brandt-law", roles: ["lawyer"], about: "a lawyer of another firm" },
  { name: "berta", org: "bailiff-nord", roles: ["bailiff"], about: "serves deeds" },
  { name: "clara", org: "court", roles: ["judge"], about: "reads every deed" },
];

export function administratorOf(org: string): string {
  return `${org}-admin`;
}

export function deedsTemplate(): NetworkTemplate {
  return validateTemplate({
    network: "deeds",
    ledger: "main",
    organizations: ORGANIZATIONS.map(({ id, name }, i) => ({
      id,
      name,
      nodes: 1,
      people: [
        {
          name: administratorOf(id),
          roles: i === 0 ? [ADMIN_ROLE, NETWORK_ADMIN_ROLE] : [ADMIN_ROLE],
        },
      ],
    })),
  });
}
