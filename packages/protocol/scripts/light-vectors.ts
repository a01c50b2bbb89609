/** Vectors of what light clients and accusers exchange: pages, fork files, receipts of two engines. */
import {
  attestationMessage,
  createForkFile,
  encodeForkFile,
  encodeLightPage,
  encodeReceipt,
  hashHeader,
  type ReceiptTrust,
  signMessage,
  toHex,
  trustedSetToJson,
  verifyForkFile,
} from "../src/index.ts";
import { createTrialLedger, trialCertificate, trialProof, trialSet } from "./light-trials.ts";
import {
  createSampleReceipt,
  namedKeyPair,
  type SampleLedger,
  sampleStateRoot,
} from "./sample-ledger.ts";

const FIRST = trialSet(["a", "b", "c", "d"]);
const SECOND = trialSet(["c", "d", "e", "f"]);

/** A page with one change of set, the block to begin from, and where it leads. */
export function lightVectors() {
  const ledger = createTrialLedger([FIRST, FIRST, SECOND, SECOND]);
  const [, second, , fourth] = ledger.blocks;
  const page = encodeLightPage({
    ledgerId: ledger.ledgerId,
    changes: [second!],
    complete: true,
    newest: fourth!,
  });
  return {
    trust: trustedSetToJson(ledger.trustAt(1)),
    page: toHex(page),
    /** By which rule each block of the page is believed, in order. */
    steps: ["sameSet", "handedOver"],
    leadsTo: trustedSetToJson(ledger.trustAt(4)),
  };
}

/** Forks of one view and of two, with what is still asked in between. */
export function forkVectors() {
  const ledger = createTrialLedger([FIRST, FIRST]);
  const { header } = ledger.blocks[1]!.proof;
  const other = { ...header, time: header.time + 1 };
  const { ledgerId } = ledger;
  const trust: ReceiptTrust = ledger.trustAt(1);
  const subject = { ledgerId, engineEpoch: 0, height: 2, validatorsHash: FIRST.hash };
  const notarized = trialCertificate(
    { ...subject, kind: "notarize", view: 3, blockHash: hashHeader(other), parentView: -1 },
    FIRST,
    [1, 2, 3],
  );
  const nullified = trialCertificate({ ...subject, kind: "nullify", view: 0 }, FIRST, [0, 2, 3]);
  const file = (
    view: number,
    certificates: Parameters<typeof createForkFile>[0]["certificates"],
  ) => {
    const proofs = [
      trialProof(header, FIRST, { signers: [0, 1, 2] }),
      trialProof(other, FIRST, { view, signers: [1, 2, 3] }),
    ] as const;
    const bytes = encodeForkFile(
      createForkFile({ ledgerId, set: FIRST, proofs, ...(certificates && { certificates }) }),
    );
    const { facts } = verifyForkFile(bytes, trust);
    const { question } = facts!;
    return {
      file: toHex(bytes),
      liars: facts!.liars.map(({ member, offences }) => ({ member: member.id, offences })),
      asked: question && {
        kind: question.kind,
        view: question.view,
        members: question.asked.map(({ id }) => id),
      },
    };
  };
  return {
    trust: trustedSetToJson(ledger.trustAt(1)),
    forks: [file(0, []), file(3, []), file(3, [notarized]), file(3, [notarized, nullified])],
  };
}

/** The sample receipt with one block attested: version 2. */
export function mixedReceipt(ledger: SampleLedger) {
  const receipt = createSampleReceipt(ledger);
  const { header } = receipt.blocks[2]!;
  const { ledgerId, engineEpoch, height } = header;
  const set = ledger.setAt(height);
  const stateRoot = sampleStateRoot(ledger.blocks[height - 1]!.state);
  const blockHash = hashHeader(header);
  const message = attestationMessage({ ledgerId, engineEpoch, height, blockHash, stateRoot });
  const attestations = set.members.slice(1).map(({ id }) => ({
    member: id,
    signature: signMessage(namedKeyPair(id), message),
  }));
  const attested = { kind: "attested", header, stateRoot, attestations } as const;
  return encodeReceipt({
    ...receipt,
    blocks: receipt.blocks.map((block, i) => (i === 2 ? attested : block)),
  });
}
