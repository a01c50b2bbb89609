// Preloaded into a node that belongs to an attached command (`node --import`): standard input is a
// pipe that the parent holds. When the parent is gone, however it went, the pipe ends, and the node
// stops itself in order, so that no orphan keeps ports and folders.
import { isMainThread } from "node:worker_threads";

let left = false;

function leave() {
  if (left) return;
  left = true;
  process.kill(process.pid, "SIGTERM");
}

// Threads of the node load this too; their standard input is empty and means nothing.
if (isMainThread) {
  process.stdin.on("end", leave);
  process.stdin.on("error", leave);
  process.stdin.resume();
  process.stdin.unref?.();
}
