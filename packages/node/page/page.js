// The node's own page: what it shows comes from the public routes, and grows with every final
// block. Text is only ever set as text.
const BLOCKS_SHOWN = 12;
const BARS = 60;
const element = (id) => document.getElementById(id);
const short = (hash) => `${hash.slice(0, 12)}…`;
const set = (id, text) => {
  element(id).textContent = text;
};

/** Transactions of the newest blocks, oldest first. */
let blocks = [];

async function read(path) {
  const answer = await fetch(path, { headers: { accept: "application/json" } });
  const body = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(body.detail ?? answer.statusText), body);
  return body;
}

function row(cells) {
  const tr = document.createElement("tr");
  for (const text of cells) {
    const td = document.createElement("td");
    td.textContent = text;
    tr.append(td);
  }
  return tr;
}

function drawChart() {
  const shown = blocks.slice(-BARS);
  const most = Math.max(1, ...shown.map((block) => block.count));
  const width = 600 / BARS;
  element("chart").replaceChildren(
    ...shown.map((block, i) => {
      const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      // Empty blocks stay visible as a hairline.
      const height = Math.max(1, (block.count / most) * 116);
      bar.setAttribute("x", String((BARS - shown.length + i) * width));
      bar.setAttribute("y", String(120 - height));
      bar.setAttribute("width", String(width * 0.8));
      bar.setAttribute("height", String(height));
      return bar;
    }),
  );
  if (shown.length > 0) {
    const sum = shown.reduce((total, block) => total + block.count, 0);
    set(
      "chart-text",
      `${sum} transactions in the newest ${shown.length} blocks; at most ${most} in one.`,
    );
  }
}

function drawBlocks() {
  element("blocks").replaceChildren(
    ...blocks
      .slice(-BLOCKS_SHOWN)
      .reverse()
      .map((block) =>
        row([
          block.height,
          new Date(block.time).toLocaleTimeString(),
          block.proposer ?? "",
          block.count,
          short(block.hash),
        ]),
      ),
  );
}

async function refreshStatus() {
  const state = element("state");
  try {
    const status = await read("v1/status");
    set("height", status.height);
    set("waiting", status.mempool.transactions);
    set("role", status.role);
    set("root", short(status.stateRoot));
    element("peers").replaceChildren(
      ...status.peers.map((peer) =>
        row([
          peer.id,
          peer.connected
            ? "connected"
            : `away${peer.lastError === undefined ? "" : `: ${peer.lastError}`}`,
          peer.height,
          peer.roundTripMs === undefined ? "" : `${peer.roundTripMs.toFixed(1)} ms`,
        ]),
      ),
    );
    const trouble =
      status.quarantined !== undefined
        ? `in quarantine: ${status.quarantined}`
        : status.stalledSince !== undefined
          ? `no block since ${new Date(status.stalledSince).toLocaleTimeString()}, though work waits`
          : status.syncing
            ? "catching up"
            : undefined;
    state.dataset.good = String(trouble === undefined);
    state.textContent = trouble ?? "in step with the others";
  } catch (error) {
    state.dataset.good = "false";
    state.textContent = `no answer from the node: ${error.message}`;
  }
}

let waiting = false;
/** Block events come in bursts: one refresh per half second is enough. */
function refreshSoon() {
  if (waiting) return;
  waiting = true;
  setTimeout(() => {
    waiting = false;
    void refreshNewBlocks().then(refreshStatus);
  }, 500);
}

async function refreshNewBlocks() {
  const from = blocks.length === 0 ? undefined : blocks.at(-1).height + 1;
  const page = await read(
    from === undefined ? `v1/blocks?limit=${BARS}` : `v1/blocks?limit=100&from=${from}`,
  ).catch(() => undefined);
  if (page === undefined) return;
  // Far behind: start over from the newest.
  if (from !== undefined && page.blocks.length > 0 && page.blocks.at(-1).height < page.height) {
    blocks = [];
    return refreshNewBlocks();
  }
  for (const { height, hash, header } of page.blocks) {
    blocks.push({
      height,
      hash,
      time: header.time,
      count: header.txCount,
      proposer: header.proposer,
    });
  }
  blocks = blocks.slice(-BARS);
  drawChart();
  drawBlocks();
}

try {
  const node = await read("v1/node");
  set("node", node.id);
  document.title = `${node.id} – Hanse`;
  set("ledger", node.ledgerId);
} catch (error) {
  set("state", error.message);
}
await refreshNewBlocks();
await refreshStatus();
const events = new EventSource("v1/events");
events.addEventListener("block", refreshSoon);
setInterval(() => void refreshStatus(), 5_000);
