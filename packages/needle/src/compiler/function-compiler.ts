/** What the compilation of one function carries along. */

import type { Resolution } from "../checker/resolution.ts";
import type { NeedleProfile } from "../contracts/unit.ts";
import type { SourceRange } from "../diagnostics/diagnostic.ts";
import type { FunctionDeclaration } from "../parser/ast.ts";
import type { CompiledFunction, Site } from "./closure.ts";

export class FunctionCompiler {
  readonly resolution: Resolution;
  readonly profile: NeedleProfile;
  readonly ecosystem: bigint;
  /** Name that messages give as the place. */
  readonly place: string;
  /** Functions compiled so far; a function is entered before its body. */
  readonly functions: Map<FunctionDeclaration, CompiledFunction>;
  /** The function whose body this is. */
  readonly code: CompiledFunction;
  /** Fuel of what was compiled since the statement began. */
  cost = 0;
  /** Closures around the one being compiled. */
  level = 2;

  constructor(
    resolution: Resolution,
    profile: NeedleProfile,
    ecosystem: bigint,
    place: string,
    functions: Map<FunctionDeclaration, CompiledFunction>,
    code: CompiledFunction,
  ) {
    this.resolution = resolution;
    this.profile = profile;
    this.ecosystem = ecosystem;
    this.place = place;
    this.functions = functions;
    this.code = code;
  }

  site(range: SourceRange): Site {
    return { contract: this.place, line: range.start.line, column: range.start.column };
  }

  /** Fuel gathered since the last time. */
  takeCost(): number {
    const { cost } = this;
    this.cost = 0;
    return cost;
  }
}
