import process from "node:process";

/** Something that stops in order when the process is asked to end. */
export interface Stoppable {
  stop(): Promise<void>;
}

type Signal = "SIGTERM" | "SIGINT";

/** All that is to be stopped, in this process. */
const stoppables: Set<Stoppable> = new Set();
let isStopping = false;

/**
 * Stops `stoppable` on SIGTERM and SIGINT, and ends the process with status 0 when all have stopped. A second signal ends it at once, with
 * 128 + the signal's number. Returns the way to take it back.
 */
export function stopOnSignals(stoppable: Stoppable): () => void {
  if (stoppables.size === 0) {
    process.on("SIGTERM", signalled);
    process.on("SIGINT", signalled);
  }
  stoppables.add(stoppable);
  return () => {
    if (!stoppables.delete(stoppable) || stoppables.size > 0 || isStopping) return;
    process.off("SIGTERM", signalled);
    process.off("SIGINT", signalled);
  };
}

function signalled(signal: Signal): void {
  if (isStopping) process.exit(signal === "SIGTERM" ? 143 : 130);
  isStopping = true;
  void Promise.allSettled([...stoppables].map((each) => each.stop())).then(() => process.exit(0));
}
