import { type MethodCounts, MethodStats } from "../../observe/method-stats.ts";

/** What a server has counted since it told last. */
export interface TallyReport {
  readonly methods: readonly MethodCounts[];
  /** How much the counts have grown, by kind. */
  readonly misbehaved: Readonly<Record<string, number>>;
  /** Open now. */
  readonly connections: number;
}

/** What a server counts. */
export interface Counting {
  readonly stats: readonly MethodStats[];
  readonly misbehaved: ReadonlyMap<string, number>;
  readonly connectionCount: number;
}

/** The worker's side: what has changed since it was told last. */
export class TallySource {
  readonly #server: Counting;
  readonly #methods: Map<string, MethodStats> = new Map();
  readonly #misbehaved: Map<string, number> = new Map();
  #connections = 0;

  constructor(server: Counting) {
    this.#server = server;
  }

  /** The next report; null when nothing has changed. Methods are in the first one even if nobody has called them. */
  next(): TallyReport | null {
    const methods = this.#server.stats.flatMap((stats) => this.#increase(stats) ?? []);
    const misbehaved: Record<string, number> = {};
    for (const [kind, count] of this.#server.misbehaved) {
      const told = this.#misbehaved.get(kind) ?? 0;
      if (count > told) misbehaved[kind] = count - told;
      this.#misbehaved.set(kind, count);
    }
    const connections = this.#server.connectionCount;
    const isSame = connections === this.#connections && Object.keys(misbehaved).length === 0;
    this.#connections = connections;
    return isSame && methods.length === 0 ? null : { methods, misbehaved, connections };
  }

  #increase(stats: MethodStats): MethodCounts | null {
    const known = this.#methods.get(stats.method);
    const told = known ?? new MethodStats(stats.method);
    // What has ended is what has started less what runs: nothing else can have changed.
    if (known !== undefined && known.started === stats.started && known.inFlight === stats.inFlight) return null;
    const counts = stats.since(told);
    told.add(counts);
    this.#methods.set(stats.method, told);
    return counts;
  }
}

/** The primary's side: the sum over all workers that there have been. */
export class TallySum implements Counting {
  readonly #methods: Map<string, MethodStats> = new Map();
  readonly misbehaved: Map<string, number> = new Map();
  /** What runs and is open now, by worker: it goes with the process. */
  readonly #running: Map<number, { readonly inFlight: Map<string, number>; connections: number }> = new Map();

  get stats(): readonly MethodStats[] {
    return [...this.#methods.values()];
  }

  get connectionCount(): number {
    let sum = 0;
    for (const { connections } of this.#running.values()) sum += connections;
    return sum;
  }

  /** A worker has told what it counted. */
  add(workerId: number, report: TallyReport): void {
    const running = this.#running.get(workerId) ?? { inFlight: new Map(), connections: 0 };
    this.#running.set(workerId, running);
    running.connections = report.connections;
    for (const counts of report.methods) {
      this.#method(counts.method).add(counts);
      running.inFlight.set(counts.method, (running.inFlight.get(counts.method) ?? 0) + counts.inFlight);
    }
    for (const [kind, count] of Object.entries(report.misbehaved)) {
      this.misbehaved.set(kind, (this.misbehaved.get(kind) ?? 0) + count);
    }
  }

  /** A worker has ended: nothing runs there any more. */
  ended(workerId: number): void {
    for (const [method, inFlight] of this.#running.get(workerId)?.inFlight ?? []) {
      this.#method(method).inFlight -= inFlight;
    }
    this.#running.delete(workerId);
  }

  #method(name: string): MethodStats {
    const stats = this.#methods.get(name) ?? new MethodStats(name);
    this.#methods.set(name, stats);
    return stats;
  }
}
