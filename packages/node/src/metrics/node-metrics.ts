/** What a node measures of itself, for Prometheus. Names carry their unit; labels are bounded. */
import type { Ledger, LedgerCounter, LedgerMetrics, LedgerSample } from "@hanse/ledger";
import type { NetworkCounters, PeerLinkState, RelayCounters } from "@hanse/network";
import type { EngineEvent, OrderingStatus } from "@hanse/ordering";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

/** Outcome codes counted one by one; what comes beyond is counted together. */
const CODES_MAX = 64;

const MS = [0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];
const COUNTS = [0, 1, 10, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];
const BYTES = [1e3, 1e4, 1e5, 2.5e5, 5e5, 1e6, 2e6, 4e6, 8e6, 1.6e7];
const FUEL = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];

const SAMPLES: Readonly<Record<LedgerSample, { help: string; buckets: number[] }>> = {
  block_transactions: { help: "Transactions per block", buckets: COUNTS },
  block_build_ms: { help: "Milliseconds to draft a block", buckets: MS },
  block_validate_ms: { help: "Milliseconds to validate a block", buckets: MS },
  block_execute_ms: { help: "Milliseconds to execute a block", buckets: MS },
  block_apply_ms: { help: "Milliseconds to fold a block into the state tree", buckets: MS },
  block_commit_ms: { help: "Milliseconds to commit a block durably", buckets: MS },
  block_fuel: { help: "Fuel burnt per block", buckets: FUEL },
};

const COUNTERS: Readonly<Record<LedgerCounter, string>> = {
  transactions_admitted: "Transactions taken into the pool",
  transactions_refused: "Transactions refused at admission",
  transactions_committed: "Transactions in committed blocks",
  transactions_failed: "Committed transactions whose contract failed",
  transactions_expired: "Transactions that expired in the pool",
  blocks_executed: "Blocks executed",
  blocks_refused: "Blocks refused at validation",
  alarms: "Alarms of the ledger",
};

/** What is asked at the time of a scrape. */
export interface MetricSources {
  readonly ledger: Pick<Ledger, "mempoolStats" | "tip">;
  readonly ordering: () => OrderingStatus;
  readonly links: () => readonly PeerLinkState[];
  readonly network: NetworkCounters;
  readonly relays: RelayCounters;
  readonly disks: Readonly<
    Record<string, { readonly rounds: { readonly count: number; readonly ms: number } }>
  >;
  readonly verifiers: { readonly pending: number };
  readonly streams: () => number;
  readonly ready: () => boolean;
  readonly spreadDropped: () => number;
}

export interface NodeMetrics {
  readonly registry: Registry;
  readonly ledger: LedgerMetrics;
  onEngineEvent(event: EngineEvent): void;
  onOutcome(code: string): void;
  onRequest(route: string, status: number): void;
  /** Snapshots written, fetched, failed; blocks pruned; peers that served snapshots badly. */
  onHistory(event: string, by: number): void;
  /** Values that are read when somebody asks. */
  watch(sources: MetricSources): void;
}

export function createNodeMetrics(options: { readonly process: boolean }): NodeMetrics {
  const registry = new Registry();
  const registers = [registry];
  if (options.process) collectDefaultMetrics({ register: registry });
  const counters = new Map<LedgerCounter, Counter>();
  for (const [name, help] of Object.entries(COUNTERS) as [LedgerCounter, string][]) {
    counters.set(name, new Counter({ name: `hanse_${name}_total`, help, registers }));
  }
  const samples = new Map<LedgerSample, Histogram>();
  for (const [name, { help, buckets }] of Object.entries(SAMPLES) as [
    LedgerSample,
    (typeof SAMPLES)[LedgerSample],
  ][]) {
    samples.set(name, new Histogram({ name: `hanse_${name}`, help, buckets, registers }));
  }
  const outcomes = new Counter({
    name: "hanse_transaction_outcomes_total",
    help: "Committed transactions by outcome code",
    labelNames: ["code"] as const,
    registers,
  });
  const requests = new Counter({
    name: "hanse_http_requests_total",
    help: "Answered requests",
    labelNames: ["route", "status"] as const,
    registers,
  });
  const agreed = new Histogram({
    name: "hanse_block_agreement_ms",
    help: "Milliseconds from a height's first activity here to its finality",
    buckets: MS,
    registers,
  });
  const blockBytes = new Histogram({
    name: "hanse_block_bytes",
    help: "Size of final blocks",
    buckets: BYTES,
    registers,
  });
  const views = new Histogram({
    name: "hanse_block_views",
    help: "Views a height took; 1 = its first leader succeeded",
    buckets: [1, 2, 3, 5, 10, 20],
    registers,
  });
  const present = new Histogram({
    name: "hanse_block_present",
    help: "Finalize votes for the block below that a block carries, late ones included",
    buckets: [1, 2, 3, 4, 5, 7, 10, 16, 31, 64, 128],
    registers,
  });
  const certificateBytes = new Histogram({
    name: "hanse_certificate_bytes",
    help: "Size of finality certificates",
    buckets: [128, 256, 512, 1024, 2048, 4096, 8192, 16384, 65536],
    registers,
  });
  const events = new Counter({
    name: "hanse_ordering_events_total",
    help: "Unusual events of the ordering engine",
    labelNames: ["event"] as const,
    registers,
  });
  const history = new Counter({
    name: "hanse_history_events_total",
    help: "Snapshots written, fetched and failed, peers that served them badly, blocks pruned",
    labelNames: ["event"] as const,
    registers,
  });
  const codes = new Set<string>();

  return {
    registry,
    ledger: {
      count: (name, by) => counters.get(name)!.inc(by),
      observe: (name, value) => samples.get(name)!.observe(value),
    },
    onEngineEvent(event) {
      if (event.t === "final") {
        blockBytes.observe(event.bytes);
        views.observe(event.views);
        if (event.presentBelow !== undefined) present.observe(event.presentBelow);
        if (event.certificateBytes !== undefined) certificateBytes.observe(event.certificateBytes);
        if (event.agreedMs !== undefined) agreed.observe(event.agreedMs);
      } else if (event.t === "dropped") {
        events.inc({ event: `dropped-${event.reason}` }, event.count);
      } else if (event.t === "badPeer") {
        events.inc({ event: event.t }, event.count ?? 1);
      } else if (event.t !== "committed") events.inc({ event: event.t });
    },
    onOutcome(code) {
      if (codes.size < CODES_MAX) codes.add(code);
      outcomes.inc({ code: codes.has(code) ? code : "other" });
    },
    onHistory: (event, by) => history.inc({ event }, by),
    onRequest: (route, status) => requests.inc({ route, status: String(status) }),
    watch: (sources) => watchSources(registry, sources),
  };
}

function watchSources(registry: Registry, sources: MetricSources): void {
  const registers = [registry];
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name: `hanse_${name}`,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  gauge("ledger_height", "Newest executed height", () => sources.ledger.tip.height);
  gauge("ordering_view", "View of the open height", () => sources.ordering().view);
  gauge("ordering_syncing", "1 while catching up", () => Number(sources.ordering().syncing));
  gauge("ordering_stalled", "1 while transactions wait and nothing becomes final", () =>
    Number(sources.ordering().stalledSince !== undefined),
  );
  gauge(
    "ordering_quarantined",
    "1 while the node does not vote because signing state was lost",
    () => Number(sources.ordering().quarantined !== undefined),
  );
  gauge("ready", "1 while the node takes transactions", () => Number(sources.ready()));
  gauge("mempool_transactions", "Waiting transactions", () => sources.ledger.mempoolStats().count);
  gauge(
    "mempool_bytes",
    "Bytes of waiting transactions",
    () => sources.ledger.mempoolStats().bytes,
  );
  gauge(
    "peers_connected",
    "Open links to other nodes",
    () => sources.links().filter((link) => link.connected).length,
  );
  gauge("batches_dropped", "Batches of peers dropped for want of room", sources.spreadDropped);
  gauge("event_streams", "Open event streams", sources.streams);
  gauge("signatures_pending", "Signatures being verified", () => sources.verifiers.pending);
  new Gauge({
    name: "hanse_network_messages",
    help: "Messages to and from peers since start",
    labelNames: ["channel", "way"] as const,
    registers,
    collect() {
      for (const [channel, counts] of Object.entries(sources.network.channels)) {
        this.set({ channel, way: "in" }, counts.framesIn);
        this.set({ channel, way: "out" }, counts.framesOut);
        this.set({ channel, way: "dropped" }, counts.dropped);
      }
    },
  });
  new Gauge({
    name: "hanse_network_bytes",
    help: "Bytes to and from peers since start",
    labelNames: ["channel", "way"] as const,
    registers,
    collect() {
      for (const [channel, counts] of Object.entries(sources.network.channels)) {
        this.set({ channel, way: "in" }, counts.bytesIn);
        this.set({ channel, way: "out" }, counts.bytesOut);
      }
    },
  });
  new Gauge({
    name: "hanse_network_links",
    help: "Links since start by what became of them",
    labelNames: ["event"] as const,
    registers,
    collect() {
      const { linksUp, linksLost, refused, violations, throttled, capped } = sources.network;
      for (const [event, count] of Object.entries({
        up: linksUp,
        lost: linksLost,
        refused,
        violations,
        throttled,
        capped,
      })) {
        this.set({ event }, count);
      }
    },
  });
  new Gauge({
    name: "hanse_network_violations",
    help: "Links closed since start because the peer broke the protocol, by error code",
    labelNames: ["code"] as const,
    registers,
    collect() {
      for (const [code, count] of sources.network.violationCodes) this.set({ code }, count);
    },
  });
  new Gauge({
    name: "hanse_network_envelopes",
    help: "Messages over relays since start: sent, passed on for others, second copies, refused",
    labelNames: ["event"] as const,
    registers,
    collect() {
      const { relayedBytes: _bytes, ...counts } = sources.relays;
      for (const [event, count] of Object.entries(counts)) this.set({ event }, count);
    },
  });
  new Gauge({
    name: "hanse_network_relayed_bytes",
    help: "Bytes passed on for other nodes since start",
    registers,
    collect() {
      this.set(sources.relays.relayedBytes);
    },
  });
  new Gauge({
    name: "hanse_peer_health_ppm",
    help: "How well a peer serves as seen from here, parts per million",
    labelNames: ["peer"] as const,
    registers,
    collect() {
      this.reset();
      for (const { id, healthPpm } of sources.links()) this.set({ peer: id }, healthPpm);
    },
  });
  new Gauge({
    name: "hanse_disk_syncs",
    help: "Durable writes of the node's own files since start",
    labelNames: ["disk"] as const,
    registers,
    collect() {
      for (const [disk, { rounds }] of Object.entries(sources.disks)) {
        this.set({ disk }, rounds.count);
      }
    },
  });
  new Gauge({
    name: "hanse_disk_sync_ms",
    help: "Milliseconds spent in durable writes since start",
    labelNames: ["disk"] as const,
    registers,
    collect() {
      for (const [disk, { rounds }] of Object.entries(sources.disks)) this.set({ disk }, rounds.ms);
    },
  });
}
