import type { ServerRoute } from "../grpc/server-transport.ts";
import { Code } from "../rpc/code.ts";
import { checkService, type Method, type Service } from "../rpc/method.ts";
import { nearestName } from "../rpc/options.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import type { Handler } from "./method-server.ts";

/** A service with the object that serves it. */
interface Added {
  readonly service: Service;
  readonly handlers: Readonly<Record<string, Handler>>;
}

/** The services of a server and, once it runs, the routes to their methods. */
export class Router {
  readonly #added: Map<string, Added> = new Map();
  readonly #routes: Map<string, ServerRoute> = new Map();

  /** Names of all services, in the order in which they were added. */
  get serviceNames(): readonly string[] {
    return [...this.#added.keys()];
  }

  get services(): readonly Service[] {
    return [...this.#added.values()].map((each) => each.service);
  }

  get routes(): readonly ServerRoute[] {
    return [...this.#routes.values()];
  }

  /**
   * Adds a service.
   *
   * @throws TypeError naming the method when a handler is missing, is no function, or belongs to no method, and for a service that
   * was added before
   */
  add(service: Service, handlers: object): void {
    checkService("server.add", service);
    if (typeof handlers !== "object" || handlers === null) {
      throw new TypeError(`server.add(${service.typeName}): the second argument must be an object of handlers`);
    }
    if (this.#added.has(service.typeName))
      throw new TypeError(`server.add(${service.typeName}): this service was added before`);
    const methods = Object.values(service.methods);
    const names = methods.map((method) => method.localName);
    for (const name of namesOf(handlers)) {
      if (names.includes(name)) continue;
      const nearest = nearestName(name, names);
      const hint = nearest === undefined ? `its methods are ${names.join(", ")}` : `did you mean ${nearest}?`;
      throw new TypeError(`server.add(${service.typeName}): there is no method "${name}"; ${hint}`);
    }
    const bound: Record<string, Handler> = Object.create(null);
    for (const method of methods) bound[method.localName] = handlerOf(service, method, handlers);
    this.#added.set(service.typeName, { service, handlers: bound });
  }

  /** Makes the routes, by a function from method and handler to what serves it. */
  build(serve: (method: Method, handler: Handler) => ServerRoute): void {
    for (const { service, handlers } of this.#added.values()) {
      for (const method of Object.values(service.methods)) {
        this.#routes.set(method.path, serve(method, handlers[method.localName]));
      }
    }
  }

  route(path: string): ServerRoute | null {
    return this.#routes.get(path) ?? null;
  }

  /** The status of a call to a path that has no route. */
  unknown(path: string): RpcError {
    const slash = path.lastIndexOf("/");
    const service = path.slice(1, slash);
    const options = { reason: "unimplemented" } as const;
    if (slash < 1)
      return new RpcError(Code.UNIMPLEMENTED, `malformed method name ${JSON.stringify(path.slice(0, 100))}`, options);
    if (this.#added.has(service)) {
      return new RpcError(
        Code.UNIMPLEMENTED,
        `unknown method ${path.slice(slash + 1, slash + 101)} for service ${service}`,
        options,
      );
    }
    return new RpcError(Code.UNIMPLEMENTED, `unknown service ${service.slice(0, 100)}`, options);
  }
}

/** Own names of an object of handlers, or those of its class. */
function namesOf(handlers: object): string[] {
  const prototype: unknown = Object.getPrototypeOf(handlers);
  if (prototype === Object.prototype || prototype === null) return Object.keys(handlers);
  // A class may have methods of its own beside the handlers.
  return [];
}

function handlerOf(service: Service, method: Method, handlers: object): Handler {
  const handler: unknown = (handlers as Record<string, unknown>)[method.localName];
  if (typeof handler === "function") return handler.bind(handlers) as Handler;
  const what = handler === undefined ? "is missing" : `is ${typeof handler}, not a function`;
  throw new TypeError(
    `server.add(${service.typeName}): the handler ${method.localName} of method ${method.name} ${what}`,
  );
}
