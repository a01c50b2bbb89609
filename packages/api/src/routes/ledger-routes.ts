/** The ledger, its blocks, its members. */
import { Type } from "@sinclair/typebox";
import { HashText, HeaderJson, HeightNumber, HexText, KeyText } from "./forms.ts";
import { AccountJson, OrganizationJson } from "./node-routes.ts";
import { defineRoute } from "./route.ts";

export const LedgerJson = Type.Object({
  network: Type.String(),
  ledger: Type.String(),
  ledgerId: HashText,
  height: HeightNumber,
  stateRoot: HashText,
  resultsRoot: HashText,
  blockHash: HashText,
  ordering: Type.String(),
  policy: Type.String(),
  engines: Type.Array(Type.String()),
  validators: Type.Object({
    quorum: Type.String(),
    hash: HashText,
    members: Type.Array(
      Type.Object({
        id: Type.String(),
        org: Type.String(),
        key: KeyText,
        vote: Type.Integer(),
        propose: Type.Integer(),
      }),
    ),
  }),
  params: Type.Record(Type.String(), Type.Number()),
});

export const getLedger = defineRoute({
  id: "getLedger",
  group: "ledger",
  method: "GET",
  path: "/v1/ledger",
  summary: "The ledger: id, height, roots, validators, limits",
  access: "public",
  responses: { 200: { description: "The ledger", json: LedgerJson } },
});

export const getGenesis = defineRoute({
  id: "getGenesis",
  group: "ledger",
  method: "GET",
  path: "/v1/genesis",
  summary: "The genesis document",
  description:
    "JSON; with Accept: application/octet-stream the bytes whose hash is the ledger id. What a verifier trusts must come from somebody it trusts, not from here.",
  access: "public",
  responses: { 200: { description: "The document", json: Type.Unknown() } },
});

const blockSummary = {
  height: HeightNumber,
  hash: HashText,
  header: HeaderJson,
  evidenceCount: Type.Integer(),
  certificate: HexText,
  bytes: Type.Integer({ description: "Size of the whole block." }),
};

export const BlockSummaryJson = Type.Object(blockSummary);

export const BlockJson = Type.Object({ ...blockSummary, transactionIds: Type.Array(HashText) });

export const getBlock = defineRoute({
  id: "getBlock",
  group: "blocks",
  method: "GET",
  path: "/v1/blocks/{height}",
  summary: "Header, certificate and transaction ids of a final block",
  access: "public",
  params: Type.Object({ height: HeightNumber }),
  responses: { 200: { description: "The block", json: BlockJson } },
  problems: [404],
});

export const getBlockBody = defineRoute({
  id: "getBlockBody",
  group: "blocks",
  method: "GET",
  path: "/v1/blocks/{height}/body",
  summary: "The whole block as bytes (spec/blocks.md)",
  access: "account",
  params: Type.Object({ height: HeightNumber }),
  responses: { 200: { description: "The block", other: "application/octet-stream" } },
  problems: [404],
});

export const BLOCK_PAGE_MAX = 100;

export const listBlocks = defineRoute({
  id: "listBlocks",
  group: "blocks",
  method: "GET",
  path: "/v1/blocks",
  summary: "Blocks from a height on, ascending",
  description:
    "Without `from` the newest ones. May be fewer than asked for when blocks are large: go on behind the last.",
  access: "public",
  query: Type.Object({
    from: Type.Optional(Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: BLOCK_PAGE_MAX, default: 20 })),
  }),
  responses: {
    200: {
      description: "The blocks and the newest height",
      json: Type.Object({ height: HeightNumber, blocks: Type.Array(BlockSummaryJson) }),
    },
  },
});

export const getLightPage = defineRoute({
  id: "getLightPage",
  group: "blocks",
  method: "GET",
  path: "/v1/light",
  summary: "Headers and proofs for a light client, as bytes (spec/light.md)",
  description:
    "The newest proven block, or that of height `at`, and, unless `changes=0`, the last block before each change of the validator set from height `from` on. Nothing in it needs to be believed: the client checks it against a block that it trusts.",
  access: "public",
  query: Type.Object({
    from: Type.Optional(HeightNumber),
    changes: Type.Optional(Type.Integer({ minimum: 0, maximum: 1, default: 1 })),
    at: Type.Optional(Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })),
  }),
  responses: { 200: { description: "The page", other: "application/octet-stream" } },
  problems: [404, 503],
});

export const listOrganizations = defineRoute({
  id: "listOrganizations",
  group: "members",
  method: "GET",
  path: "/v1/organizations",
  summary: "Organizations of the network",
  access: "public",
  responses: {
    200: {
      description: "The organizations",
      json: Type.Object({ organizations: Type.Array(OrganizationJson) }),
    },
  },
});

export const getAccount = defineRoute({
  id: "getAccount",
  group: "members",
  method: "GET",
  path: "/v1/accounts/{id}",
  summary: "An account by its id (64 hex digits), key id (decimal) or public key",
  access: "account",
  params: Type.Object({ id: Type.String({ minLength: 1, maxLength: 128 }) }),
  responses: { 200: { description: "The account", json: AccountJson } },
  problems: [404],
});
