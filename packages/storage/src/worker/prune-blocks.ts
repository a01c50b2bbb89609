/**
 * Lets go of old blocks, a few at a time. Headers with which a validator set hands over stay for
 * ever, with their certificates: light clients and joining nodes need one of them per change.
 */
import { decodeBlock, encodeHeader, equalBytes } from "@hanse/protocol";
import { decodeBytea, encodeArray, quoteName } from "../rows/column-codec.ts";
import type { SqlClient } from "./sql-client.ts";

/** Blocks removed in one database transaction, at most. */
export const PRUNE_BLOCKS_MAX = 256;

export interface Pruned {
  /** Lowest block that is left. */
  readonly lowest: number;
  readonly removed: number;
}

/** Lowest block there is; 1 where there is none yet. */
export async function readLowest(client: SqlClient, schemaName: string): Promise<number> {
  const { rows } = await client.query(
    `select coalesce(min(height), 1) from ${quoteName(schemaName)}."$blocks" where height > 0`,
  );
  return Number(rows[0]![0]);
}

/**
 * Removes blocks below a height, as far as nothing else needs them: a start folds the last ones into
 * the state tree again, and what could be sent a second time must be known.
 * @param client a connection of its own: no commit waits for this.
 */
export async function pruneBlocks(
  client: SqlClient,
  schemaName: string,
  below: number,
): Promise<Pruned> {
  const s = quoteName(schemaName);
  const { rows: bounds } = await client.query(
    `select least($1::bigint, m.tree_from, m.height, (
       select coalesce(min(b.height), m.height) from ${s}."$blocks" b, ${s}."$blocks" t
       where t.height = m.height and b.height > 0 and b.valid_until_max >= t.time
     )) from ${s}."$meta" m`,
    [below],
  );
  const bound = Number(bounds[0]![0]);
  const { rows } = await client.query(
    `select height, block, certificate from ${s}."$blocks" where height > 0 and height < $1 order by height limit ${PRUNE_BLOCKS_MAX}`,
    [bound],
  );
  const last = rows.at(-1)?.[0];
  if (last === undefined || last === null) {
    return { lowest: await readLowest(client, schemaName), removed: 0 };
  }
  const kept = rows.flatMap(([height, block, certificate]) => {
    const { header } = decodeBlock(decodeBytea(block!));
    if (equalBytes(header.validatorsHash, header.nextValidatorsHash)) return [];
    return [{ height: BigInt(height!), header: encodeHeader(header), certificate: certificate! }];
  });
  await client.query("begin");
  try {
    if (kept.length > 0) {
      await client.query(
        `insert into ${s}."$headers" (height, header, certificate)
         select h, b, c from unnest($1::bigint[], $2::bytea[], $3::bytea[]) as u(h, b, c) on conflict do nothing`,
        [
          encodeArray("int", kept.length, (i) => kept[i]!.height),
          encodeArray("bytes", kept.length, (i) => kept[i]!.header),
          encodeArray("bytes", kept.length, (i) => decodeBytea(kept[i]!.certificate)),
        ],
      );
    }
    await client.query(`delete from ${s}."$blocks" where height > 0 and height <= $1`, [last]);
    await client.query(`delete from ${s}."$removed" where height > 0 and height <= $1`, [last]);
    await client.query("commit");
  } catch (error) {
    await client.query("rollback").catch(() => {});
    throw error;
  }
  return { lowest: await readLowest(client, schemaName), removed: rows.length };
}
