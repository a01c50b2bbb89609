/** Every route of ours, once. */
import * as events from "./event-routes.ts";
import * as ledger from "./ledger-routes.ts";
import * as node from "./node-routes.ts";
import * as tables from "./table-routes.ts";
import * as transactions from "./transaction-routes.ts";

export const ROUTES = {
  getNode: node.getNode,
  getHealth: node.getHealth,
  getReady: node.getReady,
  getMetrics: node.getMetrics,
  getStatus: node.getStatus,
  createSession: node.createSession,
  endSession: node.endSession,
  getLedger: ledger.getLedger,
  getGenesis: ledger.getGenesis,
  listBlocks: ledger.listBlocks,
  getLightPage: ledger.getLightPage,
  getBlock: ledger.getBlock,
  getBlockBody: ledger.getBlockBody,
  submitTransaction: transactions.submitTransaction,
  submitBatch: transactions.submitBatch,
  getTransaction: transactions.getTransaction,
  getReceipt: transactions.getReceipt,
  listTables: tables.listTables,
  listRows: tables.listRows,
  getRow: tables.getRow,
  getRowHistory: tables.getRowHistory,
  getRowProof: tables.getRowProof,
  runQuery: tables.runQuery,
  listApplications: tables.listApplications,
  streamEvents: events.streamEvents,
  listOrganizations: ledger.listOrganizations,
  getAccount: ledger.getAccount,
} as const;

export type RouteName = keyof typeof ROUTES;
