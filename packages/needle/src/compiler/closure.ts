/** What programs are compiled to: closures over a frame. */

import type { FunctionSignature, NeedleProfile } from "../contracts/unit.ts";
import type { FaultStep } from "../runtime/fault.ts";
import type { Frame } from "../runtime/frame.ts";
import type { NeedleValue } from "../values/value.ts";

/** Computes an expression. */
export type Evaluate = (frame: Frame) => NeedleValue;

/** How a statement ended. */
export const NORMAL = 0;
export const BREAK = 1;
export const CONTINUE = 2;
export const RETURN = 3;
export type Completion = typeof NORMAL | typeof BREAK | typeof CONTINUE | typeof RETURN;

/** Executes a statement. */
export type Execute = (frame: Frame) => Completion;

export interface CompiledFunction {
  readonly signature: FunctionSignature;
  readonly profile: NeedleProfile;
  /** Full name of the contract it stands in, else its own name; for messages. */
  readonly place: string;
  /** Local variables: parameters first, then those of tails, then the rest. */
  readonly slots: number;
  /** Index of the first slot of every tail. */
  readonly tailSlots: readonly number[];
  /** Set once the body is compiled: a function may call itself. */
  body: Execute;
}

/** A place in a source as messages show it. */
export type Site = FaultStep;
