/** The OpenAPI 3.1 document, made from the routes. TypeBox schemas are JSON Schema already. */
import { PROBLEM_CONTENT_TYPE, ProblemSchema } from "../problems/problem.ts";
import { ROUTES } from "../routes/all-routes.ts";
import type { ResponseSpec, RouteSpec } from "../routes/route.ts";

const problemRef = { $ref: "#/components/schemas/Problem" };

/** Refusals any route may give. */
const COMMON_PROBLEMS = [400, 500];

const SCHEMES = {
  public: [],
  sender: [],
  account: [{ signedRequest: [] }, { sessionToken: [] }],
} as const;

function describeParameters(route: RouteSpec): object[] {
  const list: object[] = [];
  for (const [place, schema] of [
    ["path", route.params],
    ["query", route.query],
  ] as const) {
    if (schema === undefined) continue;
    for (const [name, property] of Object.entries(schema.properties)) {
      list.push({
        name,
        in: place,
        required: place === "path" || (schema.required ?? []).includes(name),
        schema: property,
        ...(property.description === undefined ? {} : { description: property.description }),
      });
    }
  }
  return list;
}

function describeBody(route: RouteSpec): object {
  const content: Record<string, object> = {};
  if (route.binaryBody !== undefined) {
    content[route.binaryBody] = { schema: { type: "string", format: "binary" } };
  }
  if (route.body !== undefined) content["application/json"] = { schema: route.body };
  return Object.keys(content).length === 0 ? {} : { requestBody: { required: true, content } };
}

function describeResponse(response: ResponseSpec): object {
  const content: Record<string, object> = {};
  if (response.other !== undefined) content[response.other] = { schema: response.json ?? {} };
  else if (response.json !== undefined) content["application/json"] = { schema: response.json };
  return {
    description: response.description,
    ...(Object.keys(content).length === 0 ? {} : { content }),
  };
}

function describeRoute(route: RouteSpec): object {
  const problems = new Set([...COMMON_PROBLEMS, ...(route.problems ?? [])]);
  if (route.access === "account") problems.add(403).add(429);
  return {
    operationId: route.id,
    tags: [route.group],
    summary: route.summary,
    ...(route.description === undefined ? {} : { description: route.description }),
    security: SCHEMES[route.access],
    parameters: describeParameters(route),
    ...describeBody(route),
    responses: {
      ...Object.fromEntries(
        Object.entries(route.responses).map(([status, response]) => [
          status,
          describeResponse(response),
        ]),
      ),
      ...Object.fromEntries(
        [...problems]
          .sort((a, b) => a - b)
          .map((status) => [
            status,
            { description: "Problem", content: { [PROBLEM_CONTENT_TYPE]: { schema: problemRef } } },
          ]),
      ),
    },
  };
}

/** `version` is the product's. */
export function createOpenApi(info: { readonly version: string }): Record<string, unknown> {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of Object.values(ROUTES) as RouteSpec[]) {
    paths[route.path] ??= {};
    paths[route.path]![route.method.toLowerCase()] = describeRoute(route);
  }
  const { $id: _, ...problem } = ProblemSchema;
  const document = {
    openapi: "3.1.0",
    info: {
      title: "Hanse node",
      version: info.version,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      description: "A node of a ledger that several organizations keep together.",
    },
    paths,
    components: {
      schemas: { Problem: problem },
      securitySchemes: {
        signedRequest: {
          type: "apiKey",
          in: "header",
          name: "Authorization",
          description:
            "Hanse-Key <public key>;<milliseconds since 1970>;<signature>, the signature over the request by the account's key (packages/api/README.md).",
        },
        sessionToken: { type: "http", scheme: "bearer" },
      },
    },
  };
  // A plain copy: without TypeBox's symbols, and with the problem's schema by reference.
  return JSON.parse(
    JSON.stringify(document, (key, value) =>
      key !== "Problem" && value?.$id === "Problem" ? problemRef : value,
    ),
  );
}
