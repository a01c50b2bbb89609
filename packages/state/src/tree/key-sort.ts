/** Sorting of key hashes without a comparator call for each comparison. */

/** Keys one call sorts: their places have to fit beside 32 bits of key into a double. */
export const SORT_KEYS_MAX = 1 << 20;

/** Places of the 32-byte keys in ascending byte order. */
export function sortKeys(keys: Uint8Array): Int32Array {
  const count = keys.length / 32;
  const sortable = new Float64Array(count);
  const view = new DataView(keys.buffer, keys.byteOffset, keys.length);
  for (let i = 0; i < count; i++) sortable[i] = view.getUint32(i * 32) * SORT_KEYS_MAX + i;
  sortable.sort();
  const order = new Int32Array(count);
  for (let i = 0; i < count; i++) order[i] = sortable[i]! % SORT_KEYS_MAX;
  // Keys that share their first four bytes are rare: order those by the rest, by insertion.
  for (let i = 1; i < count; i++) {
    const key = order[i]!;
    let at = i;
    while (at > 0 && compareKeysAt(keys, order[at - 1]!, key) > 0) {
      order[at] = order[at - 1]!;
      at--;
    }
    order[at] = key;
  }
  return order;
}

function compareKeysAt(keys: Uint8Array, a: number, b: number): number {
  for (let i = 0; i < 32; i++) {
    const difference = keys[a * 32 + i]! - keys[b * 32 + i]!;
    if (difference !== 0) return difference;
  }
  return 0;
}
