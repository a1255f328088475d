import { listServices } from "bowline/registry";
import { CommandError } from "../../command-error.ts";
import { SILENCE } from "./look-up.ts";
import { settingsHint } from "./registry-url.ts";

/**
 * Names of the services in a registry, sorted.
 *
 * @throws CommandError for a malformed URL, and where the registry has no list, does not give it or does not answer in time
 */
export async function servicesOf(registry: string, timeoutMs: number): Promise<readonly string[]> {
  const controller = new AbortController();
  const late = new Error(`no answer within ${timeoutMs} ms`);
  const timer = setTimeout(() => controller.abort(late), timeoutMs);
  try {
    return await listServices(registry, { signal: controller.signal });
  } catch (error) {
    const { message } = error as Error;
    if (error instanceof TypeError) throw new CommandError(message);
    const hint = error === late ? SILENCE : settingsHint(registry);
    throw new CommandError(`the services of ${registry} can't be listed: ${message}`, hint);
  } finally {
    clearTimeout(timer);
  }
}
