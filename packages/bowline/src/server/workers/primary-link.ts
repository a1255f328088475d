import type { FromWorker, ToWorker } from "./worker-messages.ts";

/** The way from a worker to its primary. */
export interface PrimaryLink {
  /** Resolves when the message has left this process, or can't any more. */
  send(message: FromWorker): Promise<void>;
  /** Begins to listen, which keeps the process alive. */
  open(handler: PrimaryLinkHandler): void;
  /** Listens on, but no longer keeps the process alive. */
  release(): void;
  /** Ends this process. */
  exit(code: number): void;
}

/** Who listens to the primary. */
export interface PrimaryLinkHandler {
  received(message: ToWorker): void;
  /** The primary is gone. */
  lost(): void;
}
