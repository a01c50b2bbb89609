/**
 * Every reachable state of a small height, not only random ones: the rules of spec/model/simplex.qnt
 * with four members, one liar at its worst, who also leads every view, and two blocks. States that
 * differ in the names of the honest members, or of the blocks, count once.
 */

export type SearchedRule =
  | "none"
  | "quorum-one-too-small"
  | "skip-justification"
  | "notarize-twice"
  | "finalize-after-nullify";

export interface SearchResult {
  readonly states: number;
  /** A state with two final blocks, as what each honest member signed; undefined = there is none. */
  readonly violation: string | undefined;
  /** States in which a block is final. */
  readonly final: number;
}

const HONEST = 3;
const BLOCKS = 2;

/** What one honest member signed; `views[v]` = notarized options (bits), nullified, finalized block. */
interface Member {
  /** No vote below this view any more, but for finalize in it. */
  readonly view: number;
  readonly notarized: readonly number[];
  readonly nullified: readonly boolean[];
  /** 0 or 1 + block. */
  readonly finalized: readonly number[];
}

type State = readonly Member[];

/** Bit of notarizing a block in view v with a parent view from -1 to v-1. */
const optionOf = (block: number, parent: number, views: number) =>
  1 << (block * (views + 1) + parent + 1);

function keyOf(member: Member): string {
  return `${member.view}${member.notarized.join(",")}${member.nullified.map(Number).join("")}${member.finalized.join("")}`;
}

function swapBlocks(member: Member, views: number): Member {
  const low = (1 << (views + 1)) - 1;
  return {
    ...member,
    notarized: member.notarized.map(
      (bits) => ((bits & low) << (views + 1)) | (bits >> (views + 1)),
    ),
    finalized: member.finalized.map((block) => (block === 0 ? 0 : 3 - block)),
  };
}

function canonical(state: State, views: number): string {
  const plain = state.map(keyOf).sort().join("|");
  const swapped = state
    .map((member) => keyOf(swapBlocks(member, views)))
    .sort()
    .join("|");
  return plain < swapped ? plain : swapped;
}

class Search {
  readonly #views: number;
  readonly #broken: SearchedRule;
  readonly #quorum: number;

  constructor(views: number, broken: SearchedRule) {
    this.#views = views;
    this.#broken = broken;
    // Honest members that a certificate needs beside the liar.
    this.#quorum = broken === "quorum-one-too-small" ? 1 : 2;
  }

  #count(state: State, holds: (member: Member) => boolean): boolean {
    let count = 0;
    for (const member of state) if (holds(member)) count++;
    return count >= this.#quorum;
  }

  #nullified(state: State, view: number): boolean {
    return this.#count(state, (member) => member.nullified[view]!);
  }

  #notarized(state: State, view: number, block: number): boolean {
    for (let parent = -1; parent < view; parent++) {
      const bit = optionOf(block, parent, this.#views);
      if (this.#count(state, (member) => (member.notarized[view]! & bit) !== 0)) return true;
    }
    return false;
  }

  final(state: State, block: number): boolean {
    for (let view = 0; view < this.#views; view++) {
      if (this.#count(state, (member) => member.finalized[view] === block + 1)) return true;
    }
    return false;
  }

  #justified(state: State, view: number, block: number, parent: number): boolean {
    if (this.#broken === "skip-justification") return true;
    for (let between = parent + 1; between < view; between++) {
      if (!this.#nullified(state, between)) return false;
    }
    return parent < 0 || this.#notarized(state, parent, block);
  }

  /** R1: by a certificate of the view below. */
  #mayEnter(state: State, view: number): boolean {
    if (view === 0) return true;
    if (this.#nullified(state, view - 1)) return true;
    return this.#notarized(state, view - 1, 0) || this.#notarized(state, view - 1, 1);
  }

  *next(state: State): Generator<State> {
    for (const [place, member] of state.entries()) {
      for (const after of this.#votes(state, member)) {
        yield state.map((other, i) => (i === place ? after : other));
      }
    }
  }

  *#votes(state: State, member: Member): Generator<Member> {
    for (let view = member.view; view < this.#views; view++) {
      const { notarized, nullified, finalized } = member;
      const isEntered = view === member.view || this.#mayEnter(state, view);
      if (!nullified[view] || this.#broken === "finalize-after-nullify") {
        for (let block = 0; block < BLOCKS; block++) {
          if (finalized[view] !== 0 || !this.#notarized(state, view, block)) continue;
          yield { ...member, view: view + 1, finalized: finalized.with(view, block + 1) };
        }
      }
      if (!isEntered || finalized[view] !== 0 || nullified[view]) continue;
      yield { ...member, view, nullified: nullified.with(view, true) };
      if (notarized[view] !== 0 && this.#broken !== "notarize-twice") continue;
      for (let block = 0; block < BLOCKS; block++) {
        for (let parent = -1; parent < view; parent++) {
          const bit = optionOf(block, parent, this.#views);
          if ((notarized[view]! & bit) !== 0) continue;
          if (!this.#justified(state, view, block, parent)) continue;
          yield { ...member, view, notarized: notarized.with(view, notarized[view]! | bit) };
        }
      }
    }
  }
}

/** Breadth first through all states, until the first with two final blocks. */
export function searchStates(views: number, broken: SearchedRule = "none"): SearchResult {
  const search = new Search(views, broken);
  const fresh: Member = {
    view: 0,
    notarized: Array.from({ length: views }, () => 0),
    nullified: Array.from({ length: views }, () => false),
    finalized: Array.from({ length: views }, () => 0),
  };
  const first: State = Array.from({ length: HONEST }, () => fresh);
  const seen = new Set([canonical(first, views)]);
  let final = 0;
  for (let frontier: State[] = [first]; frontier.length > 0; ) {
    const following: State[] = [];
    for (const state of frontier) {
      const isFinal = [search.final(state, 0), search.final(state, 1)];
      if (isFinal[0] || isFinal[1]) final++;
      if (isFinal[0] && isFinal[1]) {
        return { states: seen.size, final, violation: state.map(keyOf).join("|") };
      }
      for (const next of search.next(state)) {
        const key = canonical(next, views);
        if (seen.has(key)) continue;
        seen.add(key);
        following.push(next);
      }
    }
    frontier = following;
  }
  return { states: seen.size, final, violation: undefined };
}
