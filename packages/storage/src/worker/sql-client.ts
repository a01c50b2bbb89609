/** Connections to PostgreSQL as the database worker uses them. */
import { HanseError } from "@hanse/protocol";
import pg from "pg";

/** Statements one connection keeps prepared; further texts are parsed each time. */
const PREPARED_MAX = 500;

/** Every value as the text the server sent. */
const RAW_TYPES = {
  getTypeParser: () => (text: string) => text,
} as unknown as pg.CustomTypesConfig;

export type SqlRow = readonly (string | null)[];

export interface SqlResult {
  readonly rows: readonly SqlRow[];
  readonly command: string;
  readonly count: number;
}

/** Codes and words by which a database says that it cannot take more; none is tried again. */
export function storageError(error: unknown, doing: string): HanseError {
  if (error instanceof HanseError) return error;
  const { code, message } = error as { code?: string; message?: string };
  const text = `${doing}: ${message ?? String(error)}`;
  const details = { ...(code === undefined ? {} : { sqlState: code }) };
  if (code === "53100" || /No space left|File too large|Disk quota/i.test(message ?? "")) {
    return new HanseError("STORAGE_DISK_FULL", "unavailable", `${text}. Free space and restart`, {
      details,
      cause: error,
    });
  }
  if (code === "58030" || code === "XX001" || code === "XX002") {
    return new HanseError("STORAGE_IO", "corrupt", `${text}. Check the disk, then restart`, {
      details,
      cause: error,
    });
  }
  // Codes that begin with E are the operating system's (EPIPE, ECONNRESET), not PostgreSQL's.
  if (code === undefined || /^(08|57|E)/.test(code)) {
    return new HanseError("STORAGE_CONNECTION", "unavailable", text, { details, cause: error });
  }
  return new HanseError("STORAGE_SQL", "corrupt", text, { details, cause: error });
}

export class SqlClient {
  readonly #client: pg.Client;
  readonly #prepared = new Map<string, string>();
  #lost: Error | undefined;

  private constructor(client: pg.Client) {
    this.#client = client;
    client.on("error", (error) => {
      this.#lost ??= error;
    });
  }

  /** @param settings e.g. `set statement_timeout = …`, for this connection. */
  static async connect(url: string, settings: readonly string[] = []): Promise<SqlClient> {
    const client = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: 30_000,
      keepAlive: true,
      pipeline: true,
    } as pg.ClientConfig);
    const self = new SqlClient(client);
    try {
      await client.connect();
      const all = [
        "set timezone = 'UTC'",
        "set bytea_output = 'hex'",
        "set extra_float_digits = 1",
        "set client_min_messages = warning",
        ...settings,
      ];
      await client.query(all.join("; "));
    } catch (error) {
      await client.end().catch(() => {});
      throw storageError(error, "connecting to PostgreSQL");
    }
    return self;
  }

  /** One statement; statements sent without waiting run in order, in one go. */
  async query(text: string, values: readonly unknown[] = []): Promise<SqlResult> {
    if (this.#lost !== undefined) throw storageError(this.#lost, "the connection is lost");
    let name = this.#prepared.get(text);
    if (name === undefined && this.#prepared.size < PREPARED_MAX) {
      name = `s${this.#prepared.size}`;
      this.#prepared.set(text, name);
    }
    const result = await this.#client.query({
      ...(name === undefined ? {} : { name }),
      text,
      values: values as unknown[],
      rowMode: "array",
      types: RAW_TYPES,
    });
    return {
      rows: result.rows as unknown as SqlRow[],
      command: result.command,
      count: result.rowCount ?? 0,
    };
  }

  /** Several statements in one text, without parameters. */
  async run(text: string): Promise<SqlResult> {
    if (this.#lost !== undefined) throw storageError(this.#lost, "the connection is lost");
    await this.#client.query(text);
    return { rows: [], command: "", count: 0 };
  }

  async close(): Promise<void> {
    await this.#client.end().catch(() => {});
  }
}
