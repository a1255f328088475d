/**
 * Runs `work` with a signal that Ctrl-C (SIGINT) or SIGTERM raises, so that it can end tidily; a second one ends the process at once.
 */
export async function untilInterrupted<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const interrupt = (): void => {
    stopListening();
    controller.abort();
  };
  const stopListening = (): void => {
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  try {
    return await work(controller.signal);
  } finally {
    stopListening();
  }
}
