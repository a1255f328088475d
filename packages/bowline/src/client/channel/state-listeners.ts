import { callApart } from "../../rpc/turn.ts";

/** Who is told of each new state of something, until they no longer want to be. */
export class StateListeners<State> {
  readonly #listeners: Set<(state: State) => void> = new Set();

  /** Calls back with each new state, until the returned function is called. */
  add(listener: (state: State) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tell(state: State): void {
    for (const listener of [...this.#listeners]) callApart(() => listener(state));
  }

  clear(): void {
    this.#listeners.clear();
  }
}
