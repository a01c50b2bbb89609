/** Errors on the wire: problem documents (RFC 9457) with the stable code of a HanseError. */
import { type ErrorDetails, type ErrorKind, HanseError, toHanseError } from "@hanse/protocol";
import { type Static, Type } from "@sinclair/typebox";

export const PROBLEM_CONTENT_TYPE = "application/problem+json";

export const ProblemSchema = Type.Object(
  {
    type: Type.String({ description: "urn:hanse:error:CODE" }),
    title: Type.String({ description: "What kind of refusal this is." }),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    code: Type.String({ description: "Stable code, e.g. LEDGER_TX_EXPIRED; never reused." }),
    detail: Type.String({ description: "One sentence that names the field and the remedy." }),
    field: Type.Optional(Type.String({ description: "The field or key at fault." })),
    retryAfter: Type.Optional(
      Type.Number({ minimum: 0, description: "Seconds after which it is worth trying again." }),
    ),
    details: Type.Optional(
      Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean()])),
    ),
  },
  { $id: "Problem", title: "Problem" },
);

export type Problem = Static<typeof ProblemSchema>;

interface KindRow {
  readonly status: number;
  readonly title: string;
  /** Whether the same request may succeed later. */
  readonly retry: boolean;
}

/** The one table from an error's kind to HTTP. */
export const ERROR_KINDS: Readonly<Record<ErrorKind, KindRow>> = {
  malformed: { status: 400, title: "The request cannot be read", retry: false },
  denied: { status: 403, title: "Not allowed", retry: false },
  notFound: { status: 404, title: "Not found", retry: false },
  conflict: { status: 409, title: "Conflicts with what is already there", retry: false },
  tooLarge: { status: 413, title: "Too large", retry: false },
  rejected: { status: 422, title: "Refused by a rule", retry: false },
  limit: { status: 429, title: "A limit is reached", retry: true },
  corrupt: { status: 500, title: "The node failed", retry: false },
  unavailable: { status: 503, title: "Not available now", retry: true },
};

/** Advice where the error itself has none. */
const RETRY_SECONDS_DEFAULT = 1;

const kindOfStatus = new Map<number, ErrorKind>(
  Object.entries(ERROR_KINDS).map(([kind, row]) => [row.status, kind as ErrorKind]),
);

function retrySeconds({ retryAfterSeconds }: ErrorDetails): number {
  return typeof retryAfterSeconds === "number" && retryAfterSeconds >= 0
    ? retryAfterSeconds
    : RETRY_SECONDS_DEFAULT;
}

/**
 * Problem document of anything thrown. What went wrong inside a node stays inside: of a `corrupt`
 * error only the code is told. `details.retryAfterSeconds` becomes `retryAfter`.
 */
export function toProblem(thrown: unknown): Problem {
  const error = toHanseError(thrown);
  const row = ERROR_KINDS[error.kind];
  const common = {
    type: `urn:hanse:error:${error.code}`,
    title: row.title,
    status: row.status,
    code: error.code,
  };
  if (error.kind === "corrupt") {
    return { ...common, detail: "The node could not do this; its log has the reason." };
  }
  const { field, retryAfterSeconds: _, ...rest } = error.details;
  const details: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(rest)) if (value !== undefined) details[name] = value;
  return {
    ...common,
    detail: error.message,
    ...(typeof field === "string" ? { field } : {}),
    ...(row.retry ? { retryAfter: retrySeconds(error.details) } : {}),
    ...(Object.keys(details).length > 0 ? { details } : {}),
  };
}

/** The error that a problem document stands for, on a client's side. */
export function fromProblem(value: unknown, status: number): HanseError {
  const problem = (typeof value === "object" && value !== null ? value : {}) as Partial<Problem>;
  const kind = kindOfStatus.get(status) ?? (status >= 500 ? "unavailable" : "rejected");
  const { retryAfter } = problem;
  return new HanseError(
    typeof problem.code === "string" ? problem.code : `HTTP_${status}`,
    kind,
    typeof problem.detail === "string" ? problem.detail : `the node answered with status ${status}`,
    {
      details: {
        ...(typeof problem.details === "object" ? problem.details : {}),
        ...(typeof problem.field === "string" ? { field: problem.field } : {}),
        ...(typeof retryAfter === "number" ? { retryAfterSeconds: retryAfter } : {}),
        status,
      },
    },
  );
}
