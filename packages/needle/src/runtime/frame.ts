import type { NeedleValue } from "../values/value.ts";
import type { NeedleRun } from "./run.ts";

/** One activation of a function. */
export class Frame {
  readonly run: NeedleRun;
  readonly locals: NeedleValue[];
  /** Activation of the function around this one, for nested functions. */
  readonly outer: Frame | undefined;
  /** Activation that called this one. */
  readonly caller: Frame | undefined;
  /** Memory accounted when it began: nothing held by its callers is above it. */
  readonly memoryAtEntry: number;
  /** What `return` gave; undefined before, and when it gave nothing. */
  results: NeedleValue[] | undefined;
  result: NeedleValue | undefined;

  constructor(
    run: NeedleRun,
    locals: NeedleValue[],
    outer: Frame | undefined,
    caller: Frame | undefined,
  ) {
    this.run = run;
    this.locals = locals;
    this.outer = outer;
    this.caller = caller;
    this.memoryAtEntry = run.memory;
    this.results = undefined;
    this.result = undefined;
  }
}
