import type { Codec } from "../codec/codec.ts";

/** The four shapes of a call: which side sends one message and which a stream. */
export type MethodKind = "unary" | "server-stream" | "client-stream" | "bidi-stream";

/**
 * May a call be sent twice? From the option `idempotency_level` of the .proto:
 * `unknown` (default), `none` = NO_SIDE_EFFECTS, `idempotent` = IDEMPOTENT.
 */
export type Idempotency = "unknown" | "none" | "idempotent";

/** One method of a service, as generated code describes it. */
export interface Method<I = unknown, O = unknown> {
  /** Name in the .proto, `GetUser`. */
  readonly name: string;
  /** Name in TypeScript, `getUser`. */
  readonly localName: string;
  readonly kind: MethodKind;
  /** `/user.v1.UserService/GetUser` */
  readonly path: string;
  readonly idempotency: Idempotency;
  readonly input: Codec<I>;
  readonly output: Codec<O>;
}

/**
 * A contract in a .proto, as generated code describes it. `Client` and `Handlers` are the generated types of its two sides;
 * they exist for the compiler only.
 */
export interface Service<Client = unknown, Handlers = unknown> {
  /** `user.v1.UserService` */
  readonly typeName: string;
  /** By local name. */
  readonly methods: Readonly<Record<string, Method>>;
  /**
   * The file that declares it and all that this imports, each as an encoded google.protobuf.FileDescriptorProto: the declaring
   * file first, none twice. For reflection; encoded anew at each call.
   */
  readonly files?: () => readonly Uint8Array[];
  /** Never set. */
  readonly "~client"?: Client;
  /** Never set. */
  readonly "~handlers"?: Handlers;
}

const KINDS: ReadonlySet<unknown> = new Set(["unary", "server-stream", "client-stream", "bidi-stream"]);

/**
 * Checks that `service` is one that generated code describes; `where` begins the message: `createClient`.
 *
 * @throws TypeError that says what to give
 */
export function checkService(where: string, service: unknown): void {
  const { typeName, methods } = (service ?? {}) as { readonly typeName?: unknown; readonly methods?: unknown };
  if (typeof typeName === "string" && typeof methods === "object" && methods !== null) {
    if (!Array.isArray(methods) && Object.values(methods).every(isMethod)) return;
    const wanted =
      "the service from the file that ends with _rpc.ts, which `bowline generate` writes beside the _pb.ts";
    throw new TypeError(`${where}: ${typeName} has no methods that can be called; give ${wanted}`);
  }
  throw new TypeError(`${where}: the first argument must be a generated service, such as UserService of user_rpc.ts`);
}

function isMethod(method: unknown): boolean {
  const { path, localName, kind, input, output } = (method ?? {}) as Partial<Method>;
  const hasNames = typeof path === "string" && typeof localName === "string" && KINDS.has(kind);
  return hasNames && typeof input?.read === "function" && typeof output?.read === "function";
}
