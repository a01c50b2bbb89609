/**
 * What transactions tell the validator policy, from their block's execution to the policy's step
 * behind its last transaction; empty between blocks.
 */
import type { MaintenanceNotice, ProbeReport } from "@hanse/ordering";
import {
  asArray,
  asText,
  asUint,
  type CborValue,
  decodeCbor,
  encodeCbor,
  utf8,
} from "@hanse/protocol";
import type { StateOverlay, StateView } from "@hanse/state";
import { GOVERNANCE_KV } from "../governance/tables.ts";

const INBOX_KEY = utf8("presence");

export interface PresenceInbox {
  readonly reports: readonly ProbeReport[];
  readonly maintenance: readonly MaintenanceNotice[];
}

export const EMPTY_INBOX: PresenceInbox = { reports: [], maintenance: [] };

function toCbor({ reports, maintenance }: PresenceInbox): CborValue {
  return [
    reports.map(({ prober, epoch, targets }) => [
      prober,
      epoch,
      targets.map(({ id, asked, answered }) => [id, asked, answered]),
    ]),
    maintenance.map(({ id, fromEpoch, toEpoch }) => [id, fromEpoch, toEpoch]),
  ];
}

/** Targets of a report: `[id, slots asked, slots answered]`, slots as bits. */
export function targetsFromCbor(value: CborValue | undefined, field: string) {
  return asArray(value, field).map((item, i) => {
    const [id, asked, answered] = asArray(item, `${field}[${i}]`, 3);
    return {
      id: asText(id, `${field}[${i}].id`),
      asked: asUint(asked, `${field}[${i}].asked`),
      answered: asUint(answered, `${field}[${i}].answered`),
    };
  });
}

function fromCbor(value: CborValue): PresenceInbox {
  const [reports, maintenance] = asArray(value, "presence", 2);
  return {
    reports: asArray(reports, "presence.reports").map((item) => {
      const [prober, epoch, targets] = asArray(item, "presence.report", 3);
      return {
        prober: asText(prober, "presence.prober"),
        epoch: asUint(epoch, "presence.epoch"),
        targets: targetsFromCbor(targets, "presence.targets"),
      };
    }),
    maintenance: asArray(maintenance, "presence.maintenance").map((item) => {
      const [id, fromEpoch, toEpoch] = asArray(item, "presence.notice", 3);
      return {
        id: asText(id, "presence.id"),
        fromEpoch: asUint(fromEpoch, "presence.fromEpoch"),
        toEpoch: asUint(toEpoch, "presence.toEpoch"),
      };
    }),
  };
}

function readInbox(view: StateView): PresenceInbox {
  const stored = view.getKv(GOVERNANCE_KV, INBOX_KEY);
  return stored === undefined ? EMPTY_INBOX : fromCbor(decodeCbor(stored.value));
}

export function addToInbox(overlay: StateOverlay, more: Partial<PresenceInbox>): void {
  const before = readInbox(overlay);
  const inbox: PresenceInbox = {
    reports: [...before.reports, ...(more.reports ?? [])],
    maintenance: [...before.maintenance, ...(more.maintenance ?? [])],
  };
  overlay.putKv(GOVERNANCE_KV, INBOX_KEY, encodeCbor(toCbor(inbox)));
}

/** What this block's transactions put in; the next block begins with nothing. */
export function takeInbox(overlay: StateOverlay): PresenceInbox {
  const inbox = readInbox(overlay);
  if (inbox !== EMPTY_INBOX) overlay.removeKv(GOVERNANCE_KV, INBOX_KEY);
  return inbox;
}
