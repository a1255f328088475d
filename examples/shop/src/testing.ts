import { RpcError, type ServerContext } from "bowline";
import { ErrorInfoSchema, findDetail } from "bowline/grpc/error-details";
import type { Journal, Journalled } from "./instance/journal.ts";
import { openJournal } from "./instance/journal.ts";

/** A state and its journal in one process. */
export function journalled<State extends Journalled<Event>, Event>(state: State): [State, Journal<Event>] {
  return [state, openJournal<Event>(state)];
}

/** As much of a call's context as the shop's handlers look at. */
export function contextOf(signal: AbortSignal = new AbortController().signal): ServerContext {
  return { signal } as ServerContext;
}

/** The error that a handler ends with. @throws Error when it answers */
export async function failureOf(handler: () => unknown): Promise<RpcError> {
  try {
    await handler();
  } catch (error) {
    return RpcError.from(error);
  }
  throw new Error("the handler has answered, though it should have failed");
}

/** The reason in an error's details, `OUT_OF_STOCK`. */
export function reasonOf(error: RpcError): string | undefined {
  return findDetail(error, ErrorInfoSchema)?.reason;
}
