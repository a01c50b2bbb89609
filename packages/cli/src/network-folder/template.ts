/** What a new network consists of, before it has keys and ports. */
import { HanseError } from "@hanse/protocol";

export interface PersonTemplate {
  /** Lower-case name, unique in the network; its key is `accounts/<name>.json`. */
  readonly name: string;
  readonly roles: readonly string[];
}

export interface OrganizationTemplate {
  /** Lower case: letters, digits, hyphens. */
  readonly id: string;
  readonly name: string;
  /** How many nodes it runs. */
  readonly nodes: number;
  readonly people: readonly PersonTemplate[];
}

export interface NetworkTemplate {
  readonly network: string;
  readonly ledger: string;
  readonly organizations: readonly OrganizationTemplate[];
}

export const ORGANIZATIONS_MAX = 64;
export const NODES_PER_ORGANIZATION_MAX = 16;

const ID = /^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/u;

/** Holders register the accounts of their own organization and install applications. */
export const ADMIN_ROLE = "admin";
/** Holders add and suspend organizations. */
export const NETWORK_ADMIN_ROLE = "network-admin";

function refuse(field: string, message: string): never {
  throw new HanseError("CLI_USAGE_TEMPLATE", "malformed", `${field}: ${message}`, {
    details: { field },
  });
}

/** Validates ids, names and counts. @throws HanseError `CLI_USAGE_TEMPLATE` naming the field. */
export function validateTemplate(template: NetworkTemplate): NetworkTemplate {
  const checkId = (field: string, id: string) => {
    if (!ID.test(id)) {
      refuse(
        field,
        `"${id}" must be 1 to 40 lower-case letters, digits or hyphens, such as harbour-law`,
      );
    }
  };
  checkId("network", template.network);
  checkId("ledger", template.ledger);
  if (template.organizations.length === 0) refuse("orgs", "name at least one organization");
  if (template.organizations.length > ORGANIZATIONS_MAX) {
    refuse("orgs", `at most ${ORGANIZATIONS_MAX} organizations`);
  }
  const orgs = new Set<string>();
  const people = new Set<string>();
  for (const org of template.organizations) {
    checkId("orgs", org.id);
    if (orgs.has(org.id)) refuse("orgs", `${org.id} is named twice`);
    orgs.add(org.id);
    if (org.nodes < 0 || org.nodes > NODES_PER_ORGANIZATION_MAX) {
      refuse("nodes", `${org.id}: 0 to ${NODES_PER_ORGANIZATION_MAX} nodes`);
    }
    for (const person of org.people) {
      checkId("people", person.name);
      if (people.has(person.name)) refuse("people", `${person.name} is named twice`);
      people.add(person.name);
    }
  }
  if (template.organizations.every((org) => org.nodes === 0)) {
    refuse("nodes", "at least one organization must run a node");
  }
  return template;
}

/** One organization with one node. */
export function soloTemplate(network: string): NetworkTemplate {
  return validateTemplate({
    network,
    ledger: "main",
    organizations: [
      {
        id: "solo",
        name: "Solo",
        nodes: 1,
        people: [{ name: "solo-admin", roles: [ADMIN_ROLE, NETWORK_ADMIN_ROLE] }],
      },
    ],
  });
}

/** `count` organizations of one node each, `org-1`…, each with an administrator. */
export function countedTemplate(network: string, count: number): NetworkTemplate {
  if (!Number.isInteger(count) || count < 1 || count > ORGANIZATIONS_MAX) {
    refuse("orgs", `expected a number from 1 to ${ORGANIZATIONS_MAX} or a list of names`);
  }
  return namedTemplate(
    network,
    Array.from({ length: count }, (_, i) => `org-${i + 1}`),
  );
}

/** One node and an administrator (`<org>-admin`) for each organization named. */
export function namedTemplate(network: string, ids: readonly string[]): NetworkTemplate {
  return validateTemplate({
    network,
    ledger: "main",
    organizations: ids.map((id, i) => ({
      id,
      name: id
        .split("-")
        .map((word) => word.slice(0, 1).toUpperCase() + word.slice(1))
        .join(" "),
      nodes: 1,
      people: [
        { name: `${id}-admin`, roles: i === 0 ? [ADMIN_ROLE, NETWORK_ADMIN_ROLE] : [ADMIN_ROLE] },
      ],
    })),
  });
}
