/** Who calls: signed requests and session tokens (packages/api/README.md). */
import { randomBytes } from "node:crypto";
import { parseAuthorization, REQUEST_WINDOW_MS, requestMessage } from "@hanse/api";
import type { Sender } from "@hanse/ledger";
import {
  type Bytes,
  HanseError,
  type Hash,
  type PublicKey,
  toHex,
  verifySignature,
} from "@hanse/protocol";
import { Allowance } from "./allowance.ts";

/** Open sessions; the oldest ends when there are more. */
const SESSIONS_MAX = 10_000;
/** Part of the executing thread's time that one account's read-only calls may take. */
const QUERY_PERCENT_MAX = 10;
/** Signatures that opened a session within the window: each opens one only. */
const USED_MAX = 10_000;

export interface CallFacts {
  readonly method: string;
  /** Path and query, as sent. */
  readonly path: string;
  readonly body: Bytes;
  readonly authorization: string | undefined;
}

export interface CallersOptions {
  readonly ledgerId: Hash;
  readonly sessionMs: number;
  readonly readsPerSecond: number;
  readonly now: () => number;
  /** @throws HanseError of kind `denied` when nobody active stands behind the key. */
  readonly resolveSender: (key: PublicKey) => Sender;
}

export interface Caller {
  readonly sender: Sender;
  readonly key: PublicKey;
  /** Present when a session token was shown. */
  readonly token: string | undefined;
}

interface Session {
  readonly key: PublicKey;
  readonly expiresAt: number;
}

function refuse(code: string, message: string): never {
  throw new HanseError(code, "denied", message, { details: { field: "Authorization" } });
}

export class Callers {
  readonly #options: CallersOptions;
  readonly #sessions = new Map<string, Session>();
  readonly #used = new Map<string, number>();
  readonly #allowance: Allowance;

  constructor(options: CallersOptions) {
    this.#options = options;
    this.#allowance = new Allowance(options.readsPerSecond);
  }

  /**
   * The account behind a request; rights of the moment, so that a suspension acts at once.
   * @throws HanseError `API_AUTHORIZATION`, `API_NOT_SIGNED`, `API_SIGNATURE`,
   * `API_SIGNATURE_TIME`, `API_SESSION`, `API_READ_QUOTA`, `IDENTITY_*`.
   */
  identify(call: CallFacts): Caller {
    if (call.authorization === undefined) {
      refuse(
        "API_NOT_SIGNED",
        "this needs an account: sign the request (Authorization: Hanse-Key …) or send a session token",
      );
    }
    const shown = parseAuthorization(call.authorization);
    const now = this.#options.now();
    let key: PublicKey;
    if (shown.scheme === "token") {
      const session = this.#sessions.get(shown.token);
      if (session === undefined || session.expiresAt <= now) {
        this.#sessions.delete(shown.token);
        refuse("API_SESSION", "the session is over or unknown here: open another one");
      }
      key = session.key;
    } else {
      if (Math.abs(shown.time - now) > REQUEST_WINDOW_MS) {
        refuse(
          "API_SIGNATURE_TIME",
          `the signed time is ${Math.round(Math.abs(shown.time - now) / 1000)} s off the node's clock, at most ${REQUEST_WINDOW_MS / 1000} s are taken: set the clock and sign anew`,
        );
      }
      const { ledgerId } = this.#options;
      const message = requestMessage({ ledgerId, ...call, time: shown.time });
      if (!verifySignature(shown.key, message, shown.signature)) {
        refuse(
          "API_SIGNATURE",
          "the signature does not hold for this ledger, method, path, body and time",
        );
      }
      key = shown.key;
    }
    const sender = this.#options.resolveSender(key);
    this.#allowance.spend(toHex(sender.accountId), 1, now);
    return { sender, key, token: shown.scheme === "token" ? shown.token : undefined };
  }

  /** @throws HanseError `API_SESSION_SIGNED` when not asked by a signed request used once. */
  open(caller: Caller, authorization: string): { token: string; expiresAt: number } {
    const now = this.#options.now();
    for (const [signature, until] of this.#used) {
      if (until > now && this.#used.size < USED_MAX) break;
      this.#used.delete(signature);
    }
    if (caller.token !== undefined || this.#used.has(authorization)) {
      refuse("API_SESSION_SIGNED", "a session is opened by a signed request of its own");
    }
    this.#used.set(authorization, now + 2 * REQUEST_WINDOW_MS);
    const token = randomBytes(32).toString("hex");
    const expiresAt = now + this.#options.sessionMs;
    this.#sessions.set(token, { key: caller.key, expiresAt });
    for (const [oldest, session] of this.#sessions) {
      if (this.#sessions.size <= SESSIONS_MAX && session.expiresAt > now) break;
      this.#sessions.delete(oldest);
    }
    return { token, expiresAt };
  }

  end(caller: Caller): void {
    if (caller.token === undefined) {
      refuse("API_SESSION", "no session token was sent: nothing to end");
    }
    this.#sessions.delete(caller.token);
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  /**
   * What a request held up the node for, milliseconds: one account may use QUERY_PERCENT_MAX of
   * the executing thread, whatever it asks.
   */
  chargeTime(caller: Caller, ms: number): void {
    const perMs = (this.#options.readsPerSecond * 100) / (QUERY_PERCENT_MAX * 1000);
    this.#allowance.charge(toHex(caller.sender.accountId), ms * perMs, this.#options.now());
  }
}
