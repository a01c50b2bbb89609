/** The page a person sees at a node's address: its state, the validators, the newest blocks. */
import { readFileSync } from "node:fs";
import type { FastifyInstance } from "fastify";

const FILES = [
  ["/", "index.html", "text/html; charset=utf-8"],
  ["/page/style.css", "style.css", "text/css; charset=utf-8"],
  ["/page/page.js", "page.js", "text/javascript; charset=utf-8"],
] as const;

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export function bindStartPage(app: FastifyInstance): void {
  for (const [url, file, type] of FILES) {
    const text = readFileSync(new URL(`../../page/${file}`, import.meta.url), "utf8");
    app.get(url, (_, reply) =>
      reply
        .type(type)
        .header("content-security-policy", POLICY)
        .header("x-content-type-options", "nosniff")
        .header("referrer-policy", "no-referrer")
        .send(text),
    );
  }
}
