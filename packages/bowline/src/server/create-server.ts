import { Server } from "./server.ts";
import type { ServerOptions } from "./server-options.ts";

/**
 * Makes a server. Add services to it, then `start()` it.
 *
 * ```ts
 * const server = createServer({ listen: "127.0.0.1:8080" }).add(UserService, { async getUser(request) { … } });
 * await server.start();
 * ```
 *
 * @throws TypeError or RangeError when an option is wrong; it names the option, the value, and what is allowed
 */
export function createServer(options: ServerOptions = {}): Server {
  return new Server(options);
}
