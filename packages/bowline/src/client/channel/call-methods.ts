import { type RequestConstants, RequestHeaders } from "../../grpc/wire/method-headers.ts";
import { MethodStats } from "../../observe/method-stats.ts";
import type { Method } from "../../rpc/method.ts";

/** A method as one channel calls it. */
export interface CallMethod {
  readonly method: Method;
  readonly headers: RequestHeaders;
  readonly stats: MethodStats;
}

/** The methods that one channel calls, each made at first use. */
export class CallMethods {
  readonly #constants: RequestConstants;
  /** By path and content-subtype. */
  readonly #methods: Map<string, CallMethod> = new Map();
  /** By path. */
  readonly #stats: Map<string, MethodStats> = new Map();
  #headerSlots = 0;

  constructor(constants: RequestConstants) {
    this.#constants = constants;
  }

  /** Counts and latencies, in the order of first use. */
  get stats(): readonly MethodStats[] {
    return [...this.#stats.values()];
  }

  /** The method as the channel calls it. */
  get(method: Method): CallMethod {
    const { path, input } = method;
    const key = `${path} ${input.name}`;
    let known = this.#methods.get(key);
    if (known === undefined || known.method !== method) {
      const nextSlot = (): number => this.#headerSlots++;
      const headers = known?.headers ?? new RequestHeaders(nextSlot, path, input.name, this.#constants);
      const stats = this.#stats.get(path) ?? new MethodStats(path);
      known = { method, headers, stats };
      this.#methods.set(key, known);
      this.#stats.set(path, stats);
    }
    return known;
  }
}
