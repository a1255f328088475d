import type { Clock } from "../../rpc/clock.ts";
import { HttpError } from "./http-error.ts";
import type { ExchangeHead } from "./http-exchange.ts";

/** Bytes of an unwanted answer that are read, for its message. */
const MAX_ERROR_BYTES = 16_384;

/** The whole body. Rejects with HttpError; `tooLarge` makes the one for a body of more than `maxBytes`. */
export function wholeBody(head: ExchangeHead, maxBytes: number, tooLarge: () => HttpError): Promise<Buffer> {
  const { message } = head;
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    message.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > maxBytes) head.abort(tooLarge());
    });
    message.once("end", () => resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks, size)));
    message.once("error", (error) => reject(head.explain(error)));
    message.once("close", () => reject(head.explain(cutOff())));
  });
}

/** What comes of an unwanted answer's body in time: its status is told even if its words don't come. */
export async function beginningOf(head: ExchangeHead, clock: Clock, timeoutMs: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  const timer = clock.setTimeout(() => head.abort(new HttpError("closed", "enough was read")), timeoutMs);
  try {
    for await (const chunk of head.message as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > MAX_ERROR_BYTES) break;
    }
  } catch {
    // The beginning will do.
  }
  timer.cancel();
  return Buffer.concat(chunks);
}

/** The body as it comes. `idle` is called, and should abort, when nothing came for `idleTimeoutMs`; undefined: no bound. */
export async function* chunksOf(
  head: ExchangeHead,
  clock: Clock,
  idleTimeoutMs: number | undefined,
  idle: () => void,
): AsyncGenerator<Buffer, void, undefined> {
  const arm = (): { cancel(): void } | undefined =>
    idleTimeoutMs === undefined ? undefined : clock.setTimeout(idle, idleTimeoutMs);
  let timer = arm();
  try {
    for await (const chunk of head.message as AsyncIterable<Buffer>) {
      timer?.cancel();
      yield chunk;
      timer = arm();
    }
    if (!head.message.complete) throw cutOff();
  } catch (error) {
    throw head.explain(error as Error);
  } finally {
    timer?.cancel();
  }
}

/** Node ends a body that was cut off with this code. */
function cutOff(): Error {
  return Object.assign(new Error("the answer was cut off"), { code: "ECONNRESET" });
}
