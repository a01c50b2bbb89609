/** The contract language: parser, checker, compiler, runtime. Everything is pure. */

export { topLevelNames, validateConditionText } from "./builtins/access.ts";
export type { Builtin, BuiltinParameter, BuiltinTail, BuiltinType } from "./builtins/builtin.ts";
export { decodeJson, encodeJson } from "./builtins/json.ts";
export { BUILTIN_CHAPTERS, BUILTINS } from "./builtins/table.ts";
export type { NeedleEnvironment } from "./checker/resolution.ts";
export {
  type CompileResult,
  checkNeedle,
  compileCondition,
  compileNeedle,
} from "./compiler/compile.ts";
export { checkParams, paramsFromJson } from "./contracts/params.ts";
export {
  evaluateCondition,
  type RunError,
  type RunOptions,
  type RunResult,
  runContract,
  runContractConditions,
  runErrorToStatus,
  runErrorToText,
  runFunction,
} from "./contracts/run-contract.ts";
export {
  type ContractField,
  type ContractSignature,
  type FunctionSignature,
  fullContractName,
  type NeedleCondition,
  type NeedleContract,
  type NeedleFunction,
  type NeedleProfile,
  type NeedleUnit,
  type ParameterSignature,
  splitContractName,
  type TailSignature,
} from "./contracts/unit.ts";
export {
  DIAGNOSTICS_MAX,
  type Diagnostic,
  diagnosticToText,
  hasErrors,
  type Position,
  type Severity,
  type SourceRange,
} from "./diagnostics/diagnostic.ts";
export type {
  FindRequest,
  HostFunctions,
  NeedleCall,
  NeedleHost,
  SystemValues,
} from "./host/host.ts";
export { lexNeedle, SOURCE_CHARS_MAX } from "./lexer/lex.ts";
export type { Comment, Token, TokenKind } from "./lexer/token.ts";
export type * from "./parser/ast.ts";
export { type ParseResult, parseNeedle, parseNeedleExpression } from "./parser/parse.ts";
export { ConditionCache } from "./runtime/condition-cache.ts";
export { type FaultKind, type FaultStep, limitFault, NeedleFault, panic } from "./runtime/fault.ts";
export * from "./runtime/limits.ts";
export { SYSTEM_VARIABLES, type SystemVariable } from "./runtime/system-variables.ts";
export { byteLength, bytesToText, compareTexts, textToBytes } from "./values/byte-text.ts";
export {
  isTruthy,
  type Meter,
  toFloat,
  toInt,
  toMoney,
  toText,
  typeText,
  zeroValue,
} from "./values/convert.ts";
export { measureValue } from "./values/measure.ts";
export { Money } from "./values/money.ts";
export { floatToFixed, floatToText, parseFloat64, parseInt64 } from "./values/number-text.ts";
export {
  JsonNumber,
  NeedleArray,
  NeedleMap,
  type NeedleValue,
  TYPE_NAMES,
  type TypeName,
} from "./values/value.ts";
