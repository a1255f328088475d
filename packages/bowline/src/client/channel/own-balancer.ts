import type { AttemptResult, Balancer } from "../../balancer/balancer.ts";
import { Code } from "../../rpc/code.ts";
import { RpcError } from "../../rpc/rpc-error.ts";
import type { Endpoint } from "./endpoint.ts";

/**
 * A balancer of the user's own, kept at arm's length: what it throws ends a call and nothing else, and what it picks must be
 * an endpoint that is ready.
 *
 * @throws TypeError if `balancer` is none
 */
export function guardBalancer(balancer: Balancer<Endpoint>): Balancer<Endpoint> {
  const isBalancer =
    typeof balancer === "object" &&
    balancer !== null &&
    [balancer.update, balancer.pick, balancer.done].every((each) => typeof each === "function");
  if (!isBalancer) {
    throw new TypeError("createClient options.balancer: the function must return an object with update, pick and done");
  }
  return new GuardedBalancer(balancer);
}

class GuardedBalancer implements Balancer<Endpoint> {
  readonly name: string;
  readonly #own: Balancer<Endpoint>;
  /** What `update` or `done` threw: the next call tells of it. */
  #fault: RpcError | null = null;

  constructor(own: Balancer<Endpoint>) {
    this.#own = own;
    this.name = own.name ?? "own";
  }

  update(candidates: readonly Endpoint[]): void {
    this.#attempt("update", () => this.#own.update(candidates));
  }

  pick(avoid: Endpoint | null, hashKey?: string): Endpoint | null {
    const fault = this.#fault;
    this.#fault = null;
    if (fault !== null) throw fault;
    let endpoint: Endpoint | null;
    try {
      endpoint = this.#own.pick(avoid, hashKey);
    } catch (error) {
      throw this.#threw("pick", error);
    }
    if (endpoint === null || endpoint?.isReady === true) return endpoint;
    const text = `the balancer ${this.name} picked what is no endpoint or not ready; it must look at isReady`;
    throw new RpcError(Code.INTERNAL, text, { reason: "handler" });
  }

  done(candidate: Endpoint, result: AttemptResult, elapsedMs: number): void {
    this.#attempt("done", () => this.#own.done(candidate, result, elapsedMs));
  }

  #attempt(what: string, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#fault = this.#threw(what, error);
    }
  }

  #threw(what: string, cause: unknown): RpcError {
    const why = cause instanceof Error ? cause.message : String(cause);
    return new RpcError(Code.INTERNAL, `the balancer ${this.name} threw in ${what}: ${why}`, {
      cause,
      reason: "handler",
    });
  }
}
