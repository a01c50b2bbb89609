/** What a node says about itself, its ledger, blocks and members. */
import { BLOCK_PAGE_MAX } from "@hanse/api";
import { findAccount, findAccountByKeyId, findSigner, listOrganizations } from "@hanse/identity";
import type { StoredBlock } from "@hanse/ledger";
import { readRules, validatorSetAt } from "@hanse/modules";
import {
  accountIdOf,
  type Block,
  decodeBlock,
  decodeNativeTransaction,
  encodeGenesis,
  encodeLightPage,
  fromHex,
  genesisToJson,
  HanseError,
  publicKeyFromText,
  publicKeyToText,
  toHex,
} from "@hanse/protocol";
import type { Callers } from "./callers.ts";
import { headerToJson } from "./json-forms.ts";
import type { Handlers } from "./route-binding.ts";
import type { NodeServices } from "./services.ts";

type Names =
  | "getNode"
  | "getHealth"
  | "getReady"
  | "getMetrics"
  | "getStatus"
  | "createSession"
  | "endSession"
  | "getLedger"
  | "getGenesis"
  | "listBlocks"
  | "getLightPage"
  | "getBlock"
  | "getBlockBody"
  | "listOrganizations"
  | "getAccount";

const ORGANIZATIONS_MAX = 1000;
/** Bytes of blocks read for one page. */
const PAGE_BYTES_MAX = 16 * 1024 * 1024;

function summaryToJson(stored: StoredBlock, block: Block) {
  return {
    height: stored.height,
    hash: toHex(stored.hash),
    header: headerToJson(block.header),
    evidenceCount: block.evidence.length,
    certificate: toHex(stored.certificate),
    bytes: stored.bytes.length,
  };
}

function blockToJson(stored: StoredBlock) {
  const block = decodeBlock(stored.bytes);
  return {
    ...summaryToJson(stored, block),
    transactionIds: block.transactions.map((bytes) => toHex(decodeNativeTransaction(bytes).id)),
  };
}

export function createLedgerHandlers(
  services: NodeServices,
  callers: Callers,
): Pick<Handlers, Names> {
  const { config, genesis, ledger, ledgerId, state, facts } = services;
  const { id } = config.node;
  const org = id.slice(0, id.indexOf("/"));
  const genesisBytes = encodeGenesis(genesis);
  const genesisJson = JSON.stringify(genesisToJson(genesis));
  async function requireBlock(height: number): Promise<StoredBlock> {
    const stored = height === 0 ? undefined : await ledger.reads.block(height);
    if (stored !== undefined) return stored;
    const newest = (await services.info()).height;
    const lowest = ledger.reads.lowest ?? 1;
    if (height > 0 && height < lowest) {
      throw new HanseError(
        "LEDGER_BLOCK_PRUNED",
        "notFound",
        `height: block ${height} is no longer kept here, only ${lowest} to ${newest}: ask an archive node`,
        { details: { field: "height", lowest, newest } },
      );
    }
    throw new HanseError(
      "API_NO_BLOCK",
      "notFound",
      `height: this node has no block ${height}; it has 1 to ${newest}`,
      { details: { field: "height", newest } },
    );
  }

  return {
    async getNode() {
      return {
        json: {
          id,
          org,
          network: genesis.network,
          ledger: genesis.ledger,
          ledgerId: toHex(ledgerId),
          version: facts.version,
          runtime: process.version,
          backends: facts.backends,
          engines: genesis.engines,
          startedAt: facts.startedAt,
          height: (await services.info()).height,
        },
      };
    },

    getHealth: () => ({ jsonText: '{"status":"ok"}' }),

    async getReady() {
      const reason = services.notReady();
      if (reason !== undefined) throw reason;
      return { json: { status: "ready", height: (await services.info()).height } };
    },

    async getMetrics() {
      const { text, contentType } = await services.metrics();
      return { bytes: Buffer.from(text), contentType };
    },

    async getStatus() {
      const ordering = services.orderingStatus();
      const info = await services.info();
      const pool = ledger.mempoolStats();
      const links = new Map(services.links().map((link) => [link.id, link]));
      const heights = new Map(ordering.peers.map((peer) => [peer.id, peer.height]));
      return {
        json: {
          height: ordering.height,
          view: ordering.view,
          role: ordering.role,
          syncing: ordering.syncing,
          ...(ordering.quarantined === undefined ? {} : { quarantined: ordering.quarantined }),
          ...(ordering.stalledSince === undefined ? {} : { stalledSince: ordering.stalledSince }),
          committedHeight: info.height,
          stateRoot: toHex(info.stateRoot),
          blockHash: toHex(info.blockHash),
          mempool: { transactions: pool.count, bytes: pool.bytes },
          peers: [...links.values()].map((link) => ({
            id: link.id,
            connected: link.connected,
            height: heights.get(link.id) ?? 0,
            ...(link.address === undefined ? {} : { address: link.address }),
            ...(link.roundTripMs === undefined ? {} : { roundTripMs: link.roundTripMs }),
            healthPpm: link.healthPpm,
            ...(link.lastError === undefined ? {} : { lastError: link.lastError }),
          })),
        },
      };
    },

    createSession({ caller, header }) {
      const { token, expiresAt } = callers.open(caller!, header("authorization")!);
      const account = toHex(caller!.sender.accountId);
      return { status: 201, json: { token, expiresAt, account } };
    },

    endSession({ caller }) {
      callers.end(caller!);
      return { status: 204 };
    },

    async getLedger() {
      const info = await services.info();
      const { set: validators } = validatorSetAt(state, ledger.tip.height + 1);
      const rules = readRules(state);
      return {
        json: {
          network: genesis.network,
          ledger: genesis.ledger,
          ledgerId: toHex(ledgerId),
          height: info.height,
          stateRoot: toHex(info.stateRoot),
          resultsRoot: toHex(info.resultsRoot),
          blockHash: toHex(info.blockHash),
          ordering: rules.engine,
          policy: rules.policy,
          engines: genesis.engines,
          validators: {
            quorum: validators.quorum,
            hash: toHex(validators.hash),
            members: validators.members.map((member) => ({
              ...member,
              key: publicKeyToText(member.key),
            })),
          },
          params: ledger.tip.params,
        },
      };
    },

    getGenesis({ header }) {
      if (header("accept")?.includes("application/octet-stream") === true) {
        return { bytes: genesisBytes, contentType: "application/octet-stream" };
      }
      return { jsonText: genesisJson };
    },

    async getBlock({ params }) {
      return { json: blockToJson(await requireBlock(params.height)) };
    },

    async getBlockBody({ params }) {
      const { bytes } = await requireBlock(params.height);
      return { bytes, contentType: "application/octet-stream" };
    },

    async listBlocks({ query }) {
      const { height } = await services.info();
      const limit = Math.min(query.limit ?? 20, BLOCK_PAGE_MAX);
      const from = query.from ?? Math.max(1, height - limit + 1);
      const to = Math.min(height, from + limit - 1);
      const blocks = from > to ? [] : await ledger.reads.blocks(from, to, PAGE_BYTES_MAX);
      const list = blocks.map((stored) => summaryToJson(stored, decodeBlock(stored.bytes)));
      return { json: { height, blocks: list } };
    },

    async getLightPage({ query }) {
      const { from = 0, changes = 1, at } = query;
      const wanted = { from, changes: changes === 1, ...(at === undefined ? {} : { at }) };
      const page = await ledger.lightPage(wanted);
      return { bytes: encodeLightPage(page), contentType: "application/octet-stream" };
    },

    listOrganizations() {
      const organizations = listOrganizations(state, ORGANIZATIONS_MAX);
      return { json: { organizations: organizations.map(({ id, name }) => ({ id, name })) } };
    },

    getAccount({ params }) {
      const account = findAccountByText(services, params.id);
      if (account === undefined) {
        throw new HanseError("API_NO_ACCOUNT", "notFound", "id: no such account on this ledger", {
          details: { field: "id" },
        });
      }
      return {
        json: {
          accountId: toHex(account.id),
          keyId: account.keyId.toString(),
          name: account.name,
          org: account.org,
          roles: account.roles,
          status: account.status,
          key: publicKeyToText(account.key),
        },
      };
    },
  };
}

function findAccountByText({ state }: NodeServices, text: string) {
  if (/^[0-9a-f]{64}$/.test(text)) return findAccount(state, fromHex(text));
  if (/^-?[0-9]{1,19}$/.test(text)) return findAccountByKeyId(state, BigInt(text));
  const key = publicKeyFromText(text, "id");
  return findSigner(state, key, accountIdOf(key));
}
