import { RpcError } from "../../rpc/rpc-error.ts";
import { nextTurn } from "../../rpc/turn.ts";
import type { RequestSource } from "./request-source.ts";

/**
 * Messages of one stream that are sent in a row. An iterable that waits for nothing would else keep the event loop to itself until the
 * server's window is full: 0.7 s with a million small messages.
 */
const MAX_BURST = 512;

/** A call whose requests are streamed; its attempts come one after the other. */
export interface RequestSink {
  /** Counts the attempts: what was begun for one is not done for the next. */
  readonly attempt: number;
  /** 0 when the attempt's stream is gone. */
  readonly id: number;
  readonly hasRoom: boolean;
  room(): Promise<void>;
  sendRequest(message: unknown): void | Promise<void>;
  requestSent(): void;
  endRequests(): void;
  cancel(error: RpcError): void;
}

/** Sends the messages of one attempt, as fast as the connection takes them and others get their turn, and ends our side. */
export async function sendRequests(source: RequestSource, call: RequestSink): Promise<void> {
  const { attempt } = call;
  const isOver = (): boolean => call.attempt !== attempt || call.id === 0;
  let left = MAX_BURST;
  try {
    for (;;) {
      const next = source.advance();
      if (!(typeof next === "boolean" ? next : await next)) break;
      if (isOver()) return;
      const sent = call.sendRequest(source.take());
      if (sent !== undefined) await sent;
      if (isOver()) return;
      if (!call.hasRoom) {
        await call.room();
        left = MAX_BURST;
      } else if (--left === 0) {
        await nextTurn();
        left = MAX_BURST;
      }
      if (isOver()) return;
      call.requestSent();
    }
    if (call.attempt === attempt) call.endRequests();
  } catch (error) {
    // The user's iterable threw, or gave what can't be encoded.
    if (call.attempt === attempt) call.cancel(RpcError.from(error));
  }
}
