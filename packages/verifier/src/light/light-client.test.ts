/** Goal: a light client gets from any trusted block to the newest, with few headers, or says why not. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  encodeLightPage,
  type HanseError,
  type LightBlock,
  type LightPage,
  verifyForkFile,
} from "@hanse/protocol";
import {
  createTrialLedger,
  type TrialLedger,
  trialProof,
  trialSet,
} from "../../../protocol/scripts/light-trials.ts";
import { compareWitness } from "./compare-witness.ts";
import {
  createLightClient,
  DAY_MS,
  LIGHT_AHEAD_MS_MAX,
  type LightClientOptions,
  type LightRequest,
  TRUSTING_MS,
} from "./light-client.ts";

/** A client whose clock stands shortly after the trial ledgers' blocks. */
const trialClient = (options: Omit<LightClientOptions, "now">) =>
  createLightClient({ now: () => 200_000, ...options });

/** Sets that share three of four members with the next one: a window that moves along. */
function movingSets(changes: number, blocksEach: number) {
  const names = Array.from({ length: changes + 5 }, (_, i) => `m${String(i).padStart(3, "0")}`);
  const sets = Array.from({ length: changes + 1 }, (_, i) => trialSet(names.slice(i, i + 4)));
  return sets.flatMap((set) => Array.from({ length: blocksEach }, () => set));
}

/** A node that answers as /v1/light does, `pageMax` changes at a time. */
function serve(
  ledger: TrialLedger,
  pageMax = 200,
  change: (page: LightPage) => LightPage = (p) => p,
) {
  const requests: LightRequest[] = [];
  const fetch = async (request: LightRequest) => {
    requests.push(request);
    const newest = ledger.blocks.at(-1)!;
    const all = ledger.blocks.filter(({ proof: { header } }, i) => {
      const above = ledger.blocks[i + 1]?.proof.header;
      return header.height >= request.from && above?.lastSetChangeHeight === above?.height && above;
    });
    const changes = request.changes ? all.slice(0, pageMax) : [];
    const complete = request.changes && changes.length === all.length;
    return encodeLightPage(change({ ledgerId: ledger.ledgerId, changes, complete, newest }));
  };
  return { fetch, requests };
}

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "",
    (error: HanseError) => `${error.code}: ${error.message}`,
  );

test("one page and one header while enough of the trusted set signs", async () => {
  const ledger = createTrialLedger(movingSets(2, 3));
  const { fetch, requests } = serve(ledger);
  const client = trialClient({ trust: ledger.trustAt(4), fetch });
  const { trust, steps, pages } = await client.sync();
  assert.deepEqual(trust, ledger.trustAt(9));
  assert.deepEqual(client.trust, trust);
  assert.deepEqual(steps, [{ height: 9, step: "skipped" }]);
  assert.equal(pages, 1);
  assert.deepEqual(requests, [{ from: 4, changes: false }]);
  assert.deepEqual((await client.sync()).steps, [{ height: 9, step: "known" }]);
});

test("through forty changes of the set it believes fewer headers than there are changes", async () => {
  const ledger = createTrialLedger(movingSets(40, 2));
  for (const pageMax of [200, 7]) {
    const { fetch } = serve(ledger, pageMax);
    const client = trialClient({ trust: ledger.trustAt(1), fetch });
    const { trust, steps } = await client.sync();
    assert.deepEqual(trust, ledger.trustAt(82));
    assert.ok(steps.length < 35, `${steps.length} headers`);
    assert.ok(steps.some(({ step }) => step === "skipped"));
  }
});

test("a change of all members is followed by the handing over alone", async () => {
  const sets = [trialSet(["a", "b", "c", "d"]), trialSet(["e", "f", "g", "h"])];
  const ledger = createTrialLedger([sets[0]!, sets[0]!, sets[1]!, sets[1]!]);
  const client = trialClient({ trust: ledger.trustAt(0), fetch: serve(ledger).fetch });
  const { steps } = await client.sync();
  assert.deepEqual(steps, [
    { height: 2, step: "sameSet" },
    { height: 4, step: "handedOver" },
  ]);
});

test("whoever answers wrongly is refused by name, and what was trusted stays", async () => {
  const ledger = createTrialLedger(movingSets(6, 2));
  const trust = ledger.trustAt(3);
  const sync = async (change: (page: LightPage) => LightPage, pageMax?: number) => {
    const client = trialClient({ trust, fetch: serve(ledger, pageMax, change).fetch });
    const code = await codeOf(client.sync());
    assert.ok(client.trust.height >= 3);
    assert.deepEqual(client.trust, ledger.trustAt(client.trust.height));
    return code;
  };
  const other = createTrialLedger(movingSets(6, 2), "another ledger");
  assert.match(await sync((page) => ({ ...page, newest: other.blocks[8]! })), /another ledger/);
  assert.match(await sync((page) => ({ ...page, ledgerId: other.ledgerId })), /LIGHT_REFUSED/);
  assert.match(
    await sync((page) => ({ ...page, newest: ledger.blocks[1]! })),
    /newest block 2 is below the trusted height 3/,
  );
  assert.match(await sync((page) => ({ ...page, changes: [] })), /follow the set changes/);
  // Never complete and never further: it ends.
  assert.match(
    await sync((page) => ({ ...page, changes: [], complete: false })),
    /LIGHT_REFUSED|LIGHT_PAGES/,
  );
  // A fork: the same members certify another history above the trusted height.
  const fork = createTrialLedger(movingSets(6, 2), "trial", () => [0, 1]);
  assert.match(
    await sync((page) => ({ ...page, changes: [], newest: fork.blocks[3]! })),
    /below the quorum/,
  );
  const client = trialClient({ trust, fetch: async () => new Uint8Array(20) });
  assert.match(await codeOf(client.sync()), /LIGHT_PAGE_INVALID: .*HANSELGT/);
});

test("an endless answer ends", async () => {
  const ledger = createTrialLedger(movingSets(150, 1));
  const { fetch, requests } = serve(ledger, 1);
  const client = trialClient({ trust: ledger.trustAt(1), fetch });
  assert.match(await codeOf(client.sync()), /LIGHT_PAGES: .*call again to go on from height 99/);
  assert.equal(requests.length, 100);
  await client.sync();
  assert.deepEqual(client.trust, ledger.trustAt(151));
});

test("a witness that agrees, one that forked, and one that makes things up", async () => {
  const ledger = createTrialLedger(movingSets(9, 2));
  const { blocks, ledgerId } = ledger;
  const height = blocks.length;
  const { proof, set } = blocks.at(-1)!;
  const page = (newest: LightBlock) => async (from: number, at: number) => {
    assert.deepEqual([from, at], [1, height]);
    const changes = blocks.filter(
      ({ proof: { header } }, i) =>
        header.height >= from && blocks[i + 1]?.set.hash !== blocks[i]!.set.hash && i + 1 < height,
    );
    return encodeLightPage({ ledgerId, changes, complete: true, newest });
  };
  const asked = page(blocks.at(-1)!);
  const trust = ledger.trustAt(1);
  assert.deepEqual(await compareWitness(trust, height, asked, asked), { agree: true });
  const header = { ...proof.header, time: proof.header.time + 1 };
  const forked = { proof: trialProof(header, set, { signers: [1, 2, 3] }), set };
  const found = await compareWitness(trust, height, asked, page(forked));
  assert.ok(!found.agree);
  const { facts } = verifyForkFile(found.fork, trust);
  assert.deepEqual(
    facts?.liars.map(({ member }) => member.id),
    set.members.slice(1).map(({ id }) => id),
  );
  const few = { proof: trialProof(header, set, { signers: [2, 3] }), set };
  assert.match(
    await codeOf(compareWitness(trust, height, asked, page(few))),
    /LIGHT_REFUSED: .*below the quorum/,
  );
});

test("what is older than the trusting period vouches for nothing", async () => {
  const ledger = createTrialLedger(movingSets(2, 3));
  const { fetch, requests } = serve(ledger);
  const trust = ledger.trustAt(4);
  const at = (now: number, trustingMs?: number) =>
    createLightClient({
      trust,
      fetch,
      now: () => now,
      ...(trustingMs === undefined ? {} : { trustingMs }),
    });
  const tooOld = at(trust.time! + TRUSTING_MS + 1);
  assert.match(
    await codeOf(tooOld.sync()),
    /LIGHT_TRUST_EXPIRED: the trusted block 4 is 14 days old.*--trusting-days/,
  );
  assert.deepEqual(tooOld.trust, trust);
  assert.equal(requests.length, 0, "nothing is asked of anybody");
  assert.equal((await at(trust.time! + TRUSTING_MS).sync()).trust.height, 9);
  assert.equal((await at(trust.time! + 20 * DAY_MS, 30 * DAY_MS).sync()).trust.height, 9);
  // A genesis ages too; it stands at the time that the document names.
  const genesis = createLightClient({
    trust: ledger.trustAt(0),
    fetch,
    now: () => TRUSTING_MS + 1,
  });
  assert.match(await codeOf(genesis.sync()), /LIGHT_TRUST_EXPIRED: the trusted block 0/);
  // A header of the future would stay trusted for too long.
  const early = at(9_000 - LIGHT_AHEAD_MS_MAX - 1);
  assert.match(await codeOf(early.sync()), /LIGHT_REFUSED: .*ahead of the clock/);
});

test("a trusted block without its time is dated by its own header, and by no other", async () => {
  const ledger = createTrialLedger(movingSets(2, 3));
  const { time: _, ...undated } = ledger.trustAt(4);
  const asked: LightRequest[] = [];
  const follow = (now: number, dating: number) => {
    const { fetch } = serve(ledger);
    return createLightClient({
      trust: undated,
      now: () => now,
      async fetch(request) {
        asked.push(request);
        if (request.at === undefined) return await fetch(request);
        const newest = ledger.blocks[dating - 1]!;
        const { ledgerId } = ledger;
        return encodeLightPage({ ledgerId, changes: [], complete: false, newest });
      },
    });
  };
  const { trust, steps } = await follow(200_000, 4).sync();
  assert.deepEqual(trust, ledger.trustAt(9));
  assert.deepEqual(steps, [{ height: 9, step: "skipped" }]);
  assert.deepEqual(asked[0], { from: 4, changes: false, at: 4 });
  assert.match(await codeOf(follow(4_000 + TRUSTING_MS + 1, 4).sync()), /LIGHT_TRUST_EXPIRED/);
  const lied = follow(4_000 + TRUSTING_MS + 1, 9);
  assert.match(await codeOf(lied.sync()), /LIGHT_REFUSED: it is of another height/);
  assert.deepEqual(lied.trust, undated, "what dates it does not move it");
});
