/**
 * The contract engine `native`: modules written in the product itself. A payload is the CBOR array
 * `[module, action, args]`, args a map of the action's fields.
 */
import type {
  BlockContext,
  ContractEngine,
  Outcome,
  Sender,
  TransactionContext,
} from "@hanse/ledger";
import {
  asArray,
  asText,
  type Bytes,
  type CborValue,
  decodeCbor,
  encodeCbor,
  HanseError,
  nearestName,
} from "@hanse/protocol";
import { canonicalJson, type StateOverlay, type StateView } from "@hanse/state";
import { type ArgumentSpec, type Arguments, readArguments } from "./arguments.ts";

export const NATIVE_ENGINE = "native";

/** What a plain value of a result, an event or a query may be; bytes are given as hex text. */
export type PlainValue =
  | null
  | boolean
  | number
  | string
  | readonly PlainValue[]
  | { readonly [name: string]: PlainValue };

export interface ActionContext {
  readonly block: BlockContext;
  readonly sender: Sender;
  readonly state: StateOverlay;
  /** Announces what happened; the name gets the module's name in front. */
  emit(name: string, data: PlainValue): void;
}

export interface NativeAction<S extends ArgumentSpec = ArgumentSpec> {
  readonly fields: S;
  /** What it burns, whatever becomes of it. */
  readonly fuel: number;
  /** Rights, on the state as it is; run at admission and again before `run`. @throws HanseError */
  check(args: Arguments<S>, sender: Sender, state: StateView): void;
  /** Does it; the pipeline undoes everything when it throws. @throws HanseError */
  run(args: Arguments<S>, context: ActionContext): PlainValue;
}

export type NativeQuery = (
  input: Readonly<Record<string, unknown>>,
  caller: Sender | undefined,
  state: StateView,
  block: BlockContext,
) => unknown;

export interface NativeModule {
  readonly name: string;
  readonly actions: Readonly<Record<string, NativeAction>>;
  readonly queries?: Readonly<Record<string, NativeQuery>>;
}

/** Keeps an action's argument types together; erased to the common type for the table. */
export function defineAction<S extends ArgumentSpec>(action: NativeAction<S>): NativeAction {
  return action as unknown as NativeAction;
}

/** The payload of a call. */
export function encodeNativeCall(
  module: string,
  action: string,
  args: Readonly<Record<string, CborValue>>,
): Bytes {
  return encodeCbor([module, action, new Map(Object.entries(args))]);
}

interface Call {
  readonly module: NativeModule;
  readonly action: NativeAction;
  readonly args: Arguments<ArgumentSpec>;
}

function unknownName(what: string, name: string, known: readonly string[]): HanseError {
  const nearest = nearestName(name, known);
  const advice = nearest === undefined ? `known: ${known.join(", ")}` : `did you mean ${nearest}?`;
  return new HanseError(
    "MODULE_UNKNOWN",
    "notFound",
    `${what}: there is no "${name.slice(0, 64)}"; ${advice}`,
  );
}

/** A table of names must not answer for what every object has. */
function own<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

function failed(error: HanseError, fuelUsed: bigint): Outcome {
  return { code: error.code, result: "", error: error.message, fuelUsed, events: [] };
}

/** Plain JSON of facts, deterministic. */
export function toPlainJson(value: PlainValue): string {
  return canonicalJson(JSON.stringify(value));
}

/** Fuel of a call that could not even be read. */
const UNREADABLE_FUEL = 100n;

/** @throws HanseError `MODULE_TWICE` when two modules share a name. */
export function createNativeEngine(modules: readonly NativeModule[]): ContractEngine {
  const byName: Record<string, NativeModule> = {};
  for (const module of modules) {
    if (Object.hasOwn(byName, module.name)) {
      throw new HanseError("MODULE_TWICE", "rejected", `module ${module.name} stands twice`);
    }
    byName[module.name] = module;
  }

  function read(payload: Bytes): Call {
    const [moduleName, actionName, args] = asArray(decodeCbor(payload), "payload", 3);
    const moduleText = asText(moduleName, "payload.module");
    const module = own(byName, moduleText);
    if (module === undefined) throw unknownName("module", moduleText, Object.keys(byName));
    const actionText = asText(actionName, "payload.action");
    const action = own(module.actions, actionText);
    if (action === undefined) {
      throw unknownName(`${module.name}.action`, actionText, Object.keys(module.actions));
    }
    return { module, action, args: readArguments(args, action.fields) };
  }

  function run({ module, action, args }: Call, context: TransactionContext): Outcome {
    const { block, sender, state } = context;
    const events: { name: string; data: string }[] = [];
    action.check(args, sender, state);
    const result = action.run(args, {
      block,
      sender,
      state,
      emit: (name, data) =>
        events.push({ name: `${module.name}.${name}`, data: toPlainJson(data) }),
    });
    const fuelUsed = BigInt(action.fuel);
    return { code: "ok", result: toPlainJson(result), error: "", fuelUsed, events };
  }

  return {
    kind: NATIVE_ENGINE,
    check(transaction, sender, state) {
      const { action, args } = read(transaction.payload);
      action.check(args, sender, state);
    },
    apply(context) {
      let fuelUsed = UNREADABLE_FUEL;
      try {
        const call = read(context.transaction.payload);
        fuelUsed = BigInt(call.action.fuel);
        return run(call, context);
      } catch (thrown) {
        // Refusals are outcomes; a broken invariant or a foreign error is a bug and stops the node.
        if (thrown instanceof HanseError && thrown.kind !== "corrupt")
          return failed(thrown, fuelUsed);
        throw thrown;
      }
    },
    query(name, input, caller, state, block) {
      const [moduleName = "", queryName = "", ...rest] = name.split(".");
      const module = own(byName, moduleName);
      if (module === undefined) throw unknownName("module", moduleName, Object.keys(byName));
      const queries = module.queries ?? {};
      const query = rest.length === 0 ? own(queries, queryName) : undefined;
      if (query === undefined) {
        throw unknownName(
          `${module.name}.query`,
          [queryName, ...rest].join("."),
          Object.keys(queries),
        );
      }
      if (
        input !== undefined &&
        (typeof input !== "object" || input === null || Array.isArray(input))
      ) {
        throw new HanseError("MODULE_ARGUMENT", "malformed", "input: expected an object");
      }
      return query((input ?? {}) as Readonly<Record<string, unknown>>, caller, state, block);
    },
  };
}
