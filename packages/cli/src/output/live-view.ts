/** A block of lines at the bottom of a terminal that is drawn again in place. */
import type { Sink } from "./console.ts";

export interface LiveView {
  draw(text: string): void;
  /** Leaves the last picture standing and gives the cursor back. */
  end(): void;
}

/** Moves up over what was drawn before and clears to the end of the screen (ECMA-48 CSI codes). */
export function createLiveView(sink: Sink): LiveView {
  let linesDrawn = 0;
  return {
    draw(text) {
      const columns = Math.max(20, sink.columns ?? 80);
      const lines = text.split("\n").map((line) => clip(line, columns - 1));
      const up = linesDrawn === 0 ? "" : `\u001b[${linesDrawn}A\r\u001b[J`;
      sink.write(`${linesDrawn === 0 ? "\u001b[?25l" : ""}${up}${lines.join("\n")}\n`);
      linesDrawn = lines.length;
    },
    end() {
      if (linesDrawn > 0) sink.write("\u001b[?25h");
      linesDrawn = 0;
    },
  };
}

const ESCAPE = "\u001b";

/** Cuts a line to a width, colour codes (`ESC [ … m`) not counted, so that it never wraps. */
export function clip(line: string, width: number): string {
  let shown = 0;
  let out = "";
  for (let at = 0; at < line.length; ) {
    if (line.startsWith(`${ESCAPE}[`, at)) {
      const end = line.indexOf("m", at);
      const next = end < 0 ? line.length : end + 1;
      out += line.slice(at, next);
      at = next;
      continue;
    }
    const character = String.fromCodePoint(line.codePointAt(at)!);
    if (shown < width) out += character;
    shown++;
    at += character.length;
  }
  return out;
}
