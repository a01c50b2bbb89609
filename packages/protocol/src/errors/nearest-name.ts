import { distance } from "fastest-levenshtein";

/** Names compared to this many characters; longer ones are cut. */
const COMPARED_MAX = 64;

/**
 * The known name that a misspelt one most likely means.
 * @param editsMax most single-character edits that still count as near; about half of the name
 * unless told. Undefined when no name is that near.
 */
export function nearestName(
  name: string,
  known: Iterable<string>,
  editsMax?: number,
): string | undefined {
  const asked = name.slice(0, COMPARED_MAX).toLowerCase();
  let best: string | undefined;
  let bestDistance = (editsMax ?? Math.max(2, Math.floor(asked.length / 2))) + 1;
  for (const candidate of known) {
    const edits = distance(asked, candidate.slice(0, COMPARED_MAX).toLowerCase());
    if (edits < bestDistance) {
      best = candidate;
      bestDistance = edits;
    }
  }
  return best;
}
