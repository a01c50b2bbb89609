/** What the doors of a node need from it. */

import type { Ledger, Sender } from "@hanse/ledger";
import type { PeerLinkState } from "@hanse/network";
import type { AppInfo, OrderingStatus } from "@hanse/ordering";
import type { Bytes, GenesisDocument, HanseError, Hash } from "@hanse/protocol";
import type { ColumnSchema, ColumnValue, CommittedState, Query, RowRef } from "@hanse/state";
import type { NodeConfig } from "../config/schema.ts";

export interface VisibleRow {
  /** Values in the order of the columns given with it. */
  readonly values: readonly ColumnValue[];
  /** Height of the row's last change, where known. */
  readonly height: number | undefined;
}

export interface VisibleRows {
  readonly columns: readonly ColumnSchema[];
  readonly rows: readonly VisibleRow[];
}

/** Reads tables with the rights of a caller. */
export interface TableReader {
  /**
   * Rows that match and that the caller may see; `columns` undefined = all that it may see.
   * @throws HanseError of kind `denied`, or `STATE_NO_TABLE`.
   */
  read(query: Query, columns: readonly string[] | undefined, caller: Sender): Promise<VisibleRows>;
  /** Whether the caller may see every row, also such as are gone. */
  seesAllRows(table: string, caller: Sender): boolean;
}

export interface NodeFacts {
  readonly version: string;
  readonly startedAt: number;
  readonly backends: Readonly<Record<string, string>>;
}

/** The log of the doors; pino fits. */
export interface DoorLog {
  error(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  info(facts: object, message: string): void;
  debug(facts: object, message: string): void;
}

export interface NodeServices {
  readonly config: NodeConfig;
  readonly genesis: GenesisDocument;
  readonly ledgerId: Hash;
  readonly facts: NodeFacts;
  readonly ledger: Ledger;
  readonly state: CommittedState;
  readonly tables: TableReader;
  readonly log: DoorLog;
  orderingStatus(): OrderingStatus;
  /** Durable height and roots. */
  info(): Promise<AppInfo>;
  links(): readonly PeerLinkState[];
  /** Why the node takes no transactions now. */
  notReady(): HanseError | undefined;
  /** An encoded receipt. @throws HanseError `LEDGER_RECEIPT_PENDING`, `LEDGER_TX_UNKNOWN`. */
  receipt(transactionId: Hash, state: readonly RowRef[]): Promise<Bytes>;
  /** Prometheus text. */
  metrics(): Promise<{ readonly text: string; readonly contentType: string }>;
  /** Milliseconds since 1970. */
  now(): number;
}
