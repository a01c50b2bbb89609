/**
 * How a ledger goes on that lost more members for good than it tolerates: its organizations sign,
 * outside of it, with which members it continues above its last final block (spec/ordering.md,
 * "Loss of quorum"). The first block of the new epoch carries the document, for everyone to see.
 */
import {
  asArray,
  asBytes,
  asMap,
  asText,
  asUint,
  type Bytes,
  type CborValue,
  DOMAINS,
  decodeCbor,
  encodeCbor,
  equalBytes,
  type Fraction,
  HASH_BYTES,
  HanseError,
  type Hash,
  isAbove,
  type PublicKey,
  publicKeyFromCbor,
  publicKeyToCbor,
  publicKeyToText,
  SIGNATURE_BYTES,
  type ValidatorSet,
  validatorSetFromCbor,
  validatorSetToCbor,
  withDomain,
} from "@hanse/protocol";
import type { Height, PolicyKind } from "../engine/interfaces.ts";
import type { SignatureCheck } from "../wire/bodies.ts";

export const RECOVERY_BYTES_MAX = 512 * 1024;
export const RECOVERY_SIGNATURES_MAX = 1_024;

const TAG = "recovery";
const POLICIES: readonly string[] = ["fixed", "dpoa", "posr"] satisfies readonly PolicyKind[];

/** What the organizations sign. */
export interface RecoveryPlan {
  readonly ledgerId: Hash;
  /** The last final block that any reachable member holds. */
  readonly height: Height;
  readonly blockHash: Hash;
  /** After that block. */
  readonly stateRoot: Hash;
  /** The epoch that begins above it: one more than the last. */
  readonly engineEpoch: number;
  readonly policy: PolicyKind;
  readonly policyParams: Readonly<Record<string, number>>;
  readonly set: ValidatorSet;
}

export interface RecoverySignature {
  readonly organization: string;
  readonly key: PublicKey;
  /** Over `recoveryMessage`. */
  readonly signature: Bytes;
}

export interface RecoveryDocument extends RecoveryPlan {
  readonly signatures: readonly RecoverySignature[];
}

function planToCbor(plan: RecoveryPlan): CborValue[] {
  return [
    plan.ledgerId,
    plan.height,
    plan.blockHash,
    plan.stateRoot,
    plan.engineEpoch,
    plan.policy,
    new Map(Object.entries(plan.policyParams)),
    validatorSetToCbor(plan.set),
  ];
}

/** The bytes that an organization's administrator signs. */
export function recoveryMessage(plan: RecoveryPlan): Bytes {
  return withDomain(DOMAINS.recovery, encodeCbor(planToCbor(plan)));
}

export function encodeRecovery(document: RecoveryDocument): Bytes {
  return encodeCbor([
    TAG,
    ...planToCbor(document),
    document.signatures.map((s) => [s.organization, publicKeyToCbor(s.key), s.signature]),
  ]);
}

function invalid(message: string): never {
  throw new HanseError("RECOVERY_INVALID", "malformed", `recovery document: ${message}`);
}

/**
 * Structure only; whether it may be followed is for `verifyRecovery`.
 * @throws HanseError `RECOVERY_INVALID`, `VALIDATOR_SET_INVALID`, `FIELD_INVALID`, `CBOR_*`.
 */
export function decodeRecovery(bytes: Bytes): RecoveryDocument {
  if (bytes.length > RECOVERY_BYTES_MAX) invalid(`more than ${RECOVERY_BYTES_MAX} bytes`);
  const f = asArray(decodeCbor(bytes), "recovery", 10);
  if (f[0] !== TAG) invalid("the file is of another kind");
  const policy = asText(f[6], "recovery.policy");
  if (!POLICIES.includes(policy)) invalid(`policy: expected one of ${POLICIES.join(", ")}`);
  const signatures = asArray(f[9], "recovery.signatures");
  if (signatures.length > RECOVERY_SIGNATURES_MAX) {
    invalid(`more than ${RECOVERY_SIGNATURES_MAX} signatures`);
  }
  return {
    ledgerId: asBytes(f[1], "recovery.ledgerId", HASH_BYTES),
    height: asUint(f[2], "recovery.height"),
    blockHash: asBytes(f[3], "recovery.blockHash", HASH_BYTES),
    stateRoot: asBytes(f[4], "recovery.stateRoot", HASH_BYTES),
    engineEpoch: asUint(f[5], "recovery.engineEpoch"),
    policy: policy as PolicyKind,
    policyParams: Object.fromEntries(
      [...asMap(f[7], "recovery.policyParams")].map(([name, value]) => [
        name,
        asUint(value, `recovery.policyParams.${name}`),
      ]),
    ),
    set: validatorSetFromCbor(f[8], "recovery.set"),
    signatures: signatures.map((item, i) => {
      const at = `recovery.signatures[${i}]`;
      const [organization, key, signature] = asArray(item, at, 3);
      return {
        organization: asText(organization, `${at}.organization`),
        key: publicKeyFromCbor(key, `${at}.key`),
        signature: asBytes(signature, `${at}.signature`, SIGNATURE_BYTES),
      };
    }),
  };
}

/** Undefined when the bytes are no recovery document: a block's evidence may be of either kind. */
export function tryDecodeRecovery(bytes: Bytes): RecoveryDocument | undefined {
  try {
    return decodeRecovery(bytes);
  } catch (error) {
    if (error instanceof HanseError) return undefined;
    throw error;
  }
}

/** What the ledger's state says of who may sign: every organization with a validator. */
export interface RecoveryAuthority {
  readonly ledgerId: Hash;
  /** Of the running epoch. */
  readonly engineEpoch: number;
  readonly organizations: readonly { readonly id: string; readonly keys: readonly PublicKey[] }[];
  /** The constitution's share for emergencies: above it the document holds. */
  readonly above: Fraction;
}

export type RecoveryVerdict =
  | { readonly ok: true; readonly organizations: readonly string[] }
  | { readonly ok: false; readonly reason: string };

/** `verify` checks one signature. Block and state root are compared where the node holds them. */
export function verifyRecovery(
  document: RecoveryDocument,
  authority: RecoveryAuthority,
  verify: (check: SignatureCheck) => boolean,
): RecoveryVerdict {
  const refuse = (reason: string): RecoveryVerdict => ({ ok: false, reason });
  if (!equalBytes(document.ledgerId, authority.ledgerId)) return refuse("it is of another ledger");
  if (document.engineEpoch !== authority.engineEpoch + 1) {
    return refuse(
      `it begins epoch ${document.engineEpoch}, and ${authority.engineEpoch + 1} is the next`,
    );
  }
  const message = recoveryMessage(document);
  const signed = new Set<string>();
  for (const { organization, key, signature } of document.signatures) {
    const known = authority.organizations.find(({ id }) => id === organization);
    if (known === undefined) return refuse(`${organization} has no say: it has no validator`);
    const text = publicKeyToText(key);
    if (!known.keys.some((own) => publicKeyToText(own) === text)) {
      return refuse(`${text} is no key of an administrator of ${organization}`);
    }
    if (!verify({ key, message, signature })) {
      return refuse(`the signature of ${organization} does not hold`);
    }
    signed.add(organization);
  }
  const { above, organizations } = authority;
  if (!isAbove(signed.size, organizations.length, above)) {
    return refuse(
      `${signed.size} of ${organizations.length} organizations signed; more than ${above.join("/")} must`,
    );
  }
  return { ok: true, organizations: [...signed].sort() };
}
