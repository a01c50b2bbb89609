/** Which transactions became final when, from a node's event stream. */
import { get, type IncomingMessage } from "node:http";

export interface FinalBlock {
  readonly height: number;
  readonly transactions: readonly { readonly id: string; readonly code: string }[];
}

export interface FinalityFeed {
  close(): void;
}

/** Resolves once the stream is open; `onBlock` gets every block from then on. */
export function openFinalityFeed(
  url: string,
  onBlock: (block: FinalBlock, arrivedAt: number) => void,
  onEnd: (error: Error) => void,
): Promise<FinalityFeed> {
  return new Promise((resolve, reject) => {
    let response: IncomingMessage | undefined;
    let closed = false;
    const request = get(
      `${url}/v1/events?include=blocks,transactions`,
      { headers: { accept: "text/event-stream" } },
      (incoming) => {
        response = incoming;
        if (incoming.statusCode !== 200) {
          reject(new Error(`event stream: status ${incoming.statusCode}`));
          incoming.destroy();
          return;
        }
        incoming.setEncoding("utf8");
        let rest = "";
        incoming.on("data", (text: string) => {
          const arrivedAt = performance.now();
          const messages = (rest + text).split("\n\n");
          rest = messages.pop() ?? "";
          for (const message of messages) {
            const block = parseBlockMessage(message);
            if (block !== undefined) onBlock(block, arrivedAt);
          }
        });
        incoming.on("close", () => {
          if (!closed) onEnd(new Error("the node closed the event stream"));
        });
        resolve({
          close() {
            closed = true;
            response?.destroy();
            request.destroy();
          },
        });
      },
    );
    request.on("error", (error) => {
      if (!closed) reject(error);
    });
  });
}

/** The block of a message of the stream; comments and other messages are none. */
export function parseBlockMessage(message: string): FinalBlock | undefined {
  let data = "";
  for (const line of message.split("\n")) {
    if (line.startsWith("data:")) data += line.slice(5).trimStart();
  }
  if (data === "") return undefined;
  const value = JSON.parse(data) as Partial<FinalBlock>;
  if (typeof value.height !== "number") return undefined;
  return { height: value.height, transactions: value.transactions ?? [] };
}
