/**
 * A database snapshot of exactly one height, held open while another connection reads it. It is
 * taken between two commits, which costs them a millisecond; nobody waits for the reading.
 */
import { HanseError } from "@hanse/protocol";
import { SqlClient } from "./sql-client.ts";

interface Wanted {
  readonly height: number;
  readonly resolve: (name: string) => void;
  readonly reject: (error: unknown) => void;
}

export class HeldSnapshot {
  readonly #url: string;
  #wanted: Wanted | undefined;
  #holder: SqlClient | undefined;

  constructor(url: string) {
    this.#url = url;
  }

  /**
   * Resolves with the snapshot's name once `height` is committed; one at a time.
   * @throws HanseError `STORAGE_SNAPSHOT` when the height has passed or another is wanted or held.
   */
  want(height: number, committed: number): Promise<string> {
    if (height <= committed || this.#wanted !== undefined || this.#holder !== undefined) {
      throw new HanseError(
        "STORAGE_SNAPSHOT",
        "conflict",
        `a snapshot of height ${height} cannot be taken at height ${committed}: one at a time, ahead of its height`,
      );
    }
    return new Promise((resolve, reject) => {
      this.#wanted = { height, resolve, reject };
    });
  }

  /** To be awaited between this commit and the next. */
  async reached(height: number): Promise<void> {
    const wanted = this.#wanted;
    if (wanted === undefined || wanted.height > height) return;
    this.#wanted = undefined;
    try {
      const holder = await SqlClient.connect(this.#url);
      this.#holder = holder;
      await holder.query("begin isolation level repeatable read read only");
      const { rows } = await holder.query("select pg_export_snapshot()");
      wanted.resolve(rows[0]![0]!);
    } catch (error) {
      await this.release();
      // The block is committed all the same.
      wanted.reject(error);
    }
  }

  async release(): Promise<void> {
    const holder = this.#holder;
    this.#holder = undefined;
    await holder?.close();
  }

  async close(): Promise<void> {
    this.#wanted?.reject(
      new HanseError("STORAGE_CLOSED", "unavailable", "the store was closed before that height"),
    );
    this.#wanted = undefined;
    await this.release();
  }
}
