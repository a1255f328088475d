import type { Clock } from "../rpc/clock.ts";
import type { Random } from "../rpc/random.ts";
import type { Registry } from "./registry.ts";

/** What a registry takes from the process in which it runs. */
export interface RegistryContext {
  readonly clock: Clock;
  readonly random: Random;
  /** The environment's variables. Two processes find the same place only if both pass what they were started with. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Told of trouble that no caller waits for (a heartbeat that can't be written), once for each new message. */
  readonly report?: (error: Error) => void;
}

/** A registry that is chosen and checked but does not run yet: what `local()` returns and what options take. */
export interface RegistryConfig {
  /** For messages: `local`, `dns`. */
  readonly name: string;
  /** Starts it. Whoever calls this closes the registry. */
  create(context: RegistryContext): Registry;
}

/**
 * Checks the option `registry`.
 *
 * @throws TypeError that says what to give
 */
export function checkRegistry(option: string, registry: unknown): void {
  if (registry === undefined) return;
  if (typeof registry === "function") {
    throw new TypeError(`${option} is a function: call it and give what it returns, as in local()`);
  }
  const can = (method: keyof Registry | keyof RegistryConfig): boolean =>
    typeof (registry as Partial<Record<string, unknown>> | null)?.[method] === "function";
  if (can("create") || (can("register") && can("watch") && can("close"))) return;
  throw new TypeError(`${option} is no registry: give one such as local()`);
}
