/** Something that several hold, ended when the last lets it go. */
interface Holding<T> {
  readonly value: T;
  holders: number;
}

/** One holder's part in a shared thing. */
export interface Share<T> {
  readonly value: T;
  /** Lets it go; a second call does nothing. */
  release(): void;
}

/**
 * Things that those share who ask for the same: registries with equal options in one process use one set of connections.
 *
 * `scope` keeps apart what must never be shared, whatever its options: processes of a simulation, each with a clock of its own.
 */
export class SharedByKey<T> {
  readonly #byScope = new WeakMap<object, Map<string, Holding<T>>>();

  /** What `make` made for the first holder of this scope and key. `end` ends it after the last. */
  acquire(scope: object, key: string, make: () => T, end: (value: T) => void): Share<T> {
    let byKey = this.#byScope.get(scope);
    if (byKey === undefined) this.#byScope.set(scope, (byKey = new Map()));
    let holding = byKey.get(key);
    if (holding === undefined) byKey.set(key, (holding = { value: make(), holders: 0 }));
    holding.holders++;
    return { value: holding.value, release: once(() => this.#release(byKey, key, holding, end)) };
  }

  #release(byKey: Map<string, Holding<T>>, key: string, holding: Holding<T>, end: (value: T) => void): void {
    if (--holding.holders > 0) return;
    byKey.delete(key);
    end(holding.value);
  }
}

/** A text that is equal for equal options: keys in order, `undefined` left out. Not for messages, it holds secrets. */
export function keyOf(options: object): string {
  return JSON.stringify(options, (_key, value: unknown) => {
    if (typeof value === "function") throw new TypeError("options that hold a function have no key");
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

function once(action: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    action();
  };
}
