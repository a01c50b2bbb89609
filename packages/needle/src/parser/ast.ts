/** The tree of a source: plain data, every node with its range. */
import type { SourceRange } from "../diagnostics/diagnostic.ts";
import type { Comment } from "../lexer/token.ts";
import type { TypeName } from "../values/value.ts";

export interface Identifier {
  readonly text: string;
  readonly range: SourceRange;
}

export interface Program {
  readonly kind: "program";
  readonly items: readonly (ContractDeclaration | FunctionDeclaration)[];
  readonly comments: readonly Comment[];
  readonly range: SourceRange;
}

export interface ContractDeclaration {
  readonly kind: "contract";
  readonly name: Identifier;
  readonly data: readonly DataField[];
  readonly settings: readonly Setting[];
  /** Functions and statements (which never run), in order. */
  readonly body: Block;
  readonly range: SourceRange;
}

export interface DataField {
  readonly name: Identifier;
  readonly type: TypeName;
  /** The whole text of the tag, empty when there is none. */
  readonly tag: string;
}

export interface Setting {
  readonly name: Identifier;
  readonly value: null | boolean | bigint | number | string;
}

export interface Parameter {
  readonly name: Identifier;
  /** `...` collects the remaining arguments in an array. */
  readonly type: TypeName | "...";
}

export interface Tail {
  readonly name: Identifier;
  readonly parameters: readonly Parameter[];
}

export interface FunctionDeclaration {
  readonly kind: "function";
  readonly name: Identifier;
  readonly parameters: readonly Parameter[];
  readonly tails: readonly Tail[];
  readonly results: readonly TypeName[];
  readonly body: Block;
  readonly range: SourceRange;
}

export interface Block {
  readonly statements: readonly Statement[];
  readonly range: SourceRange;
}

export interface VarStatement {
  readonly kind: "var";
  readonly variables: readonly { readonly name: Identifier; readonly type: TypeName }[];
  readonly range: SourceRange;
}

export interface IfStatement {
  readonly kind: "if";
  readonly branches: readonly { readonly condition: Expression; readonly block: Block }[];
  readonly otherwise: Block | undefined;
  readonly range: SourceRange;
}

export interface WhileStatement {
  readonly kind: "while";
  readonly condition: Expression;
  readonly block: Block;
  readonly range: SourceRange;
}

export interface JumpStatement {
  readonly kind: "break" | "continue";
  readonly range: SourceRange;
}

export interface ReturnStatement {
  readonly kind: "return";
  readonly values: readonly Expression[];
  readonly range: SourceRange;
}

export interface FailStatement {
  readonly kind: "fail";
  readonly level: "error" | "warning" | "info";
  readonly value: Expression;
  readonly range: SourceRange;
}

export interface AssignStatement {
  readonly kind: "assign";
  readonly targets: readonly (NameExpression | ExternExpression)[];
  readonly values: readonly Expression[];
  readonly range: SourceRange;
}

export interface SetIndexStatement {
  readonly kind: "setIndex";
  readonly container: NameExpression | ExternExpression;
  readonly index: Expression;
  readonly value: Expression;
  readonly range: SourceRange;
}

export interface ExpressionStatement {
  readonly kind: "expression";
  readonly expression: Expression;
  readonly range: SourceRange;
}

export type Statement =
  | VarStatement
  | IfStatement
  | WhileStatement
  | JumpStatement
  | ReturnStatement
  | FailStatement
  | AssignStatement
  | SetIndexStatement
  | ExpressionStatement
  | FunctionDeclaration;

export interface LiteralExpression {
  readonly kind: "literal";
  readonly value: null | boolean | bigint | number | string;
  readonly range: SourceRange;
}

export interface NameExpression {
  readonly kind: "name";
  readonly name: string;
  readonly range: SourceRange;
}

export interface ExternExpression {
  readonly kind: "extern";
  /** Without `$`. */
  readonly name: string;
  readonly range: SourceRange;
}

export interface IndexExpression {
  readonly kind: "index";
  readonly container: NameExpression | ExternExpression;
  readonly index: Expression;
  readonly range: SourceRange;
}

export interface Arguments {
  readonly values: readonly Expression[];
  /** The last argument is an array whose elements are the remaining arguments. */
  readonly spread: boolean;
}

/** `.Name(arguments)` after a call: a tail of the function called, or a function it is piped to. */
export interface ChainLink {
  readonly name: Identifier;
  readonly arguments: Arguments;
}

export interface CallExpression {
  readonly kind: "call";
  readonly callee: NameExpression | ExternExpression;
  readonly arguments: Arguments;
  readonly chain: readonly ChainLink[];
  readonly range: SourceRange;
}

export interface UnaryExpression {
  readonly kind: "unary";
  readonly operator: "!" | "-";
  readonly operand: Expression;
  readonly range: SourceRange;
}

export type BinaryOperator =
  | "*"
  | "/"
  | "+"
  | "-"
  | "<"
  | "<="
  | ">"
  | ">="
  | "=="
  | "!="
  | "&&"
  | "||";

export interface BinaryExpression {
  readonly kind: "binary";
  readonly operator: BinaryOperator;
  readonly left: Expression;
  readonly right: Expression;
  readonly operatorRange: SourceRange;
  readonly range: SourceRange;
}

export interface MapExpression {
  readonly kind: "map";
  readonly items: readonly { readonly key: string; readonly value: Expression }[];
  readonly range: SourceRange;
}

export interface ArrayExpression {
  readonly kind: "array";
  readonly items: readonly Expression[];
  readonly range: SourceRange;
}

/** Operands side by side: all are evaluated, the last one counts. */
export interface SequenceExpression {
  readonly kind: "sequence";
  readonly items: readonly Expression[];
  readonly range: SourceRange;
}

export type Expression =
  | LiteralExpression
  | NameExpression
  | ExternExpression
  | IndexExpression
  | CallExpression
  | UnaryExpression
  | BinaryExpression
  | MapExpression
  | ArrayExpression
  | SequenceExpression;
