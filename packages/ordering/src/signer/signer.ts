/** The durable guard in front of a consensus key. */
import {
  accountIdOf,
  type Bytes,
  equalBytes,
  HanseError,
  type Hash,
  type PublicKey,
  sha256,
  type ValidatorId,
} from "@hanse/protocol";
import type { ConsensusSigner, Disk, SignerQuarantine, SignPlace } from "../engine/interfaces.ts";
import {
  decodeSignState,
  encodeSignState,
  type SignedEntry,
  type SignState,
  SLOT_NAMES,
} from "./sign-state.ts";

export interface SignerOptions {
  readonly disk: Disk;
  readonly id: ValidatorId;
  readonly publicKey: PublicKey;
  readonly ledgerId: Hash;
  /** The key's raw signature over a message, 64 bytes. */
  readonly sign: (message: Bytes) => Bytes;
  /** For the mutation check of the simulator only: signs anything. Not reachable from configuration. */
  readonly testOnlyUnguarded?: boolean;
}

/**
 * Writes the first signing state of a key that has never signed for this ledger. Belongs to the
 * act of creating a node, never to its start: a node that finds none must not make itself one.
 * @throws HanseError `SIGNER_EXISTS` when there is any signing state, damaged or not.
 */
export async function createSigningState(
  disk: Disk,
  identity: { readonly ledgerId: Hash; readonly publicKey: PublicKey },
): Promise<void> {
  if (SLOT_NAMES.some((name) => disk.exists(name))) {
    throw new HanseError(
      "SIGNER_EXISTS",
      "conflict",
      "this folder already has a signing state; a second one could sign a contradiction",
    );
  }
  disk.write(
    SLOT_NAMES[0],
    encodeSignState({
      counter: 0,
      logSequence: 0,
      ledgerId: identity.ledgerId,
      keyId: accountIdOf(identity.publicKey),
      floor: 0,
      height: 0,
      view: -1,
      entries: [],
    }),
  );
  await disk.sync();
}

/**
 * Opens the guard over the signing state on the disk. Missing, damaged or foreign state gives a
 * signer in quarantine, which refuses everything until `restart`.
 */
export function openSigner(options: SignerOptions): ConsensusSigner {
  const { disk, ledgerId, publicKey } = options;
  const keyId = accountIdOf(publicKey);
  const slots = SLOT_NAMES.map((name) => decodeSignState(disk.read(name)));
  let quarantined: SignerQuarantine | undefined;
  let state: SignState = {
    counter: 0,
    logSequence: 0,
    ledgerId,
    keyId,
    floor: 0,
    height: 0,
    view: -1,
    entries: [],
  };
  const readable = slots.filter((slot) => slot !== undefined);
  readable.sort((a, b) => b.counter - a.counter);
  const newest = readable[0];
  if (newest === undefined) {
    const any = SLOT_NAMES.some((name) => disk.exists(name));
    quarantined = any ? "signing-state-corrupt" : "signing-state-missing";
  } else if (!equalBytes(newest.ledgerId, ledgerId) || !equalBytes(newest.keyId, keyId)) {
    quarantined = "signing-state-foreign";
  } else {
    state = newest;
  }
  const logFloor = newest?.logSequence ?? 0;
  let dirty = false;

  const refuse = (code: string, message: string): never => {
    throw new HanseError(code, "denied", message);
  };

  return {
    id: options.id,
    publicKey,
    get quarantined() {
      return quarantined;
    },
    get floor() {
      return state.floor;
    },
    get signed() {
      return state.entries;
    },
    sign(at, message) {
      if (options.testOnlyUnguarded === true) return options.sign(message);
      if (quarantined !== undefined) {
        refuse("SIGNER_QUARANTINED", `signing refused: ${quarantined}`);
      }
      if (at.height < state.floor) {
        refuse("SIGNER_BEHIND", `signing refused below height ${state.floor}`);
      }
      const messageHash = sha256(message);
      const known = state.entries.find(
        (e) => e.kind === at.kind && e.height === at.height && e.view === at.view,
      );
      if (known !== undefined) {
        if (equalBytes(known.messageHash, messageHash)) return known.signature;
        refuse("SIGNER_CONTRADICTION", `another ${at.kind} was signed at ${place(at)}`);
      }
      if (at.height < state.height || (at.height === state.height && at.view < state.view)) {
        refuse("SIGNER_BEHIND", `already signed later than ${place(at)}`);
      }
      const here = state.entries.filter((e) => e.height === at.height && e.view === at.view);
      const has = (kind: SignPlace["kind"]) => here.some((e) => e.kind === kind);
      if (
        (at.kind === "finalize" && has("nullify")) ||
        (at.kind === "nullify" && has("finalize")) ||
        (at.kind === "notarize" && has("nullify"))
      ) {
        refuse("SIGNER_CONTRADICTION", `${at.kind} contradicts a vote signed at ${place(at)}`);
      }
      const entry: SignedEntry = { ...at, messageHash, signature: options.sign(message) };
      const before =
        state.height !== at.height
          ? []
          : state.entries.filter((e) => e.view === at.view || e.view === previousView(state, at));
      state = { ...state, height: at.height, view: at.view, entries: [...before, entry] };
      dirty = true;
      return entry.signature;
    },
    flush(logSequence) {
      if (!dirty || quarantined !== undefined) return;
      dirty = false;
      state = { ...state, counter: state.counter + 1, logSequence };
      disk.write(SLOT_NAMES[state.counter % 2]!, encodeSignState(state));
    },
    confirmLog(logSequence) {
      if (quarantined === undefined && logSequence < logFloor) quarantined = "log-truncated";
    },
    quarantine(reason) {
      quarantined ??= reason;
    },
    restart(floor) {
      quarantined = undefined;
      dirty = false;
      state = {
        counter: state.counter + 1,
        logSequence: 0,
        ledgerId,
        keyId,
        floor: Math.max(floor, state.floor),
        height: 0,
        view: -1,
        entries: [],
      };
      // Both slots, so that no older one can come back.
      disk.write(SLOT_NAMES[state.counter % 2]!, encodeSignState(state));
      state = { ...state, counter: state.counter + 1 };
      disk.write(SLOT_NAMES[state.counter % 2]!, encodeSignState(state));
    },
  };
}

/** The latest view below `at.view` in which something was signed. */
function previousView(state: SignState, at: SignPlace): number {
  let view = -1;
  for (const entry of state.entries) {
    if (entry.view < at.view && entry.view > view) view = entry.view;
  }
  return view;
}

function place(at: SignPlace): string {
  return `height ${at.height}, view ${at.view}`;
}
