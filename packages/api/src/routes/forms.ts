/** Texts and numbers that many routes share. */
import { Type } from "@sinclair/typebox";

export const HashText = Type.String({
  pattern: "^[0-9a-f]{64}$",
  description: "32 bytes in lower-case hex.",
});

export const HexText = Type.String({
  pattern: "^([0-9a-f]{2})*$",
  description: "Bytes in lower-case hex.",
});

export const HeightNumber = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

export const TimeNumber = Type.Integer({
  minimum: 0,
  description: "Milliseconds since 1970.",
});

export const KeyText = Type.String({
  pattern: "^[a-z0-9]+:[0-9a-f]+$",
  maxLength: 100,
  description: "Algorithm and public key in hex, e.g. ed25519:…",
});

export const TableName = Type.String({
  pattern: "^[a-z0-9_]{1,63}$",
  description: "Table name, e.g. 1_keys.",
});

/**
 * A column's value: 64-bit integers (`int`) as decimal text, `bytes` as hex, `money` and `json` as
 * text, `time` as milliseconds, `bool` as true or false, `float` as a number.
 */
export const ColumnValueJson = Type.Union([
  Type.Null(),
  Type.String(),
  Type.Number(),
  Type.Boolean(),
]);

export const EventJson = Type.Object({
  name: Type.String({ description: "Dotted, e.g. deeds.served." }),
  data: Type.Unknown({ description: "JSON of the event." }),
});

export const OutcomeJson = Type.Object({
  code: Type.String({ description: "ok, or the stable code of the failure." }),
  result: Type.String(),
  error: Type.String({ description: "For a failure: contract, line, column and reason." }),
  fuelUsed: Type.String({ description: "Decimal." }),
  events: Type.Array(EventJson),
});

export const HeaderJson = Type.Object({
  ledgerId: HashText,
  engineEpoch: Type.Integer(),
  height: HeightNumber,
  time: TimeNumber,
  proposer: Type.String(),
  parentHash: HashText,
  txRoot: HashText,
  txCount: Type.Integer(),
  lastCertHash: HashText,
  prevStateRoot: HashText,
  prevResultsRoot: HashText,
  validatorsHash: HashText,
  nextValidatorsHash: HashText,
  paramsHash: HashText,
  evidenceHash: HashText,
  lastSetChangeHeight: Type.Integer(),
  policyExtra: HexText,
});
