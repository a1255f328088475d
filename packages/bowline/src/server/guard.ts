import type { AuthenticationRequest, Authenticator, Identity } from "../auth/authenticator.ts";
import type { Logger } from "../observe/logger.ts";
import type { Clock } from "../rpc/clock.ts";
import { Code } from "../rpc/code.ts";
import { Metadata } from "../rpc/metadata.ts";
import type { Method, Service } from "../rpc/method.ts";
import { checkOptions, nearestName, type OptionSpecs } from "../rpc/options.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { TimerNode, TimerWheel } from "../rpc/timer-wheel.ts";

/** Identities that a rule may be about. `authenticated`: whoever it is; a function decides by itself, and false refuses. */
export type AllowRule =
  | "authenticated"
  | readonly string[]
  | ((identity: Identity, request: AuthenticationRequest) => boolean);

/** Who may call a server. */
export interface AuthenticationOptions {
  /** How callers prove who they are; the first of several that finds credentials of its kind decides. */
  readonly by: Authenticator | readonly Authenticator[];
  /**
   * Who may call what: by path of a method (`/shop.v1.Orders/Cancel`), else name of its service (`shop.v1.Orders`), else `*`. Every
   * method must have a rule, or `start` rejects. Default: all methods, whoever is authenticated.
   */
  readonly allow?: Readonly<Record<string, AllowRule>>;
  /** What needs no credentials: paths of methods, names of services, and `health` and `reflection` for those built in. Default: nothing. */
  readonly exempt?: readonly string[];
  /** Time for finding out who calls, in ms; then the call ends with UNAVAILABLE. Default 5000. */
  readonly timeoutMs?: number;
}

/** Looks at a call when its headers are here: null lets it in and has set its identity, an error ends it. A promise never rejects. */
export type MethodGuard = (call: GuardedCall) => RpcError | null | Promise<RpcError | null>;

/** A call that a guard looks at. */
export interface GuardedCall extends AuthenticationRequest {
  identity: Identity | null;
}

/** What a guard needs of the world. */
export interface GuardEnvironment {
  readonly clock: Clock;
  readonly logger: Logger;
}

const OPTION = "createServer options.authenticate";
const DEFAULT_TIMEOUT_MS = 5000;
const LOG_PAUSE_MS = 1000;
/** A name in a refusal is cut here: it may come from a token. */
const MAX_SHOWN_NAME = 200;
const MAX_SHOWN_REASON = 500;

const SPECS: OptionSpecs = {
  by: { kind: "object" },
  allow: { kind: "object" },
  exempt: { kind: "array" },
  timeoutMs: { kind: "number", min: 1, max: 600_000, unit: "ms" },
};

/** Words of `exempt` for services that every server has. */
const BUILT_IN: Readonly<Record<string, readonly string[]>> = {
  health: ["grpc.health.v1.Health"],
  reflection: ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"],
};

/**
 * Checks the option. `asksForCertificates` says whether the server's TLS does.
 *
 * @throws TypeError or RangeError naming what is wrong with it
 */
export function checkAuthentication(options: AuthenticationOptions | undefined, asksForCertificates: boolean): void {
  if (options === undefined) return;
  checkOptions(OPTION, options, SPECS);
  const by = authenticatorsOf(options);
  if (by.length === 0) throw new TypeError(`${OPTION}.by is missing: give an authenticator such as bearer({ verify })`);
  for (const each of by) {
    if (typeof each?.authenticate !== "function" || typeof each.scheme !== "string") {
      throw new TypeError(`${OPTION}.by has something that is no authenticator: give bearer(…), mutualTls(), …`);
    }
    if (each.usesCertificate !== true || asksForCertificates) continue;
    const text = `${OPTION}.by: ${each.scheme} needs certificates of clients; set tls.authorities, so that they are asked for`;
    throw new TypeError(text);
  }
  for (const [key, rule] of Object.entries(options.allow ?? {})) checkRule(`${OPTION}.allow["${key}"]`, rule);
  options.exempt?.forEach((each, index) => {
    if (typeof each !== "string") throw new TypeError(`${OPTION}.exempt[${index}] is ${typeof each}: give a name`);
  });
}

function checkRule(path: string, rule: unknown): void {
  if (rule === "authenticated" || typeof rule === "function") return;
  if (!Array.isArray(rule)) throw new TypeError(`${path}: give a list of names, "authenticated", or a function`);
  for (const name of rule as readonly unknown[]) {
    // With spaces for certificates: "IP Address:10.0.0.7".
    if (typeof name === "string" && /^[\w-]+(?: [\w-]+)*:./.test(name)) continue;
    throw new TypeError(
      `${path}: ${JSON.stringify(name)} does not say what it is a name of; write app:NAME, jwt:NAME, URI:…, as identity.names has it`,
    );
  }
}

function authenticatorsOf({ by }: AuthenticationOptions): readonly Authenticator[] {
  return by === undefined ? [] : [by].flat();
}

/** The authentication of a server: makes the guard of each method. */
export class Guard {
  readonly #options: AuthenticationOptions;
  readonly #by: readonly Authenticator[];
  readonly #environment: GuardEnvironment;
  readonly #wheel: TimerWheel;
  readonly #missing: string;
  readonly #challenge: string;
  #quietUntil = Number.NEGATIVE_INFINITY;

  constructor(options: AuthenticationOptions, environment: GuardEnvironment) {
    this.#options = options;
    this.#by = authenticatorsOf(options);
    this.#environment = environment;
    this.#wheel = new TimerWheel(environment.clock);
    this.#missing = this.#by.map(({ required }) => required).join(", or ");
    this.#challenge = this.#by.flatMap(({ challenge }) => challenge ?? []).join(", ");
  }

  /**
   * Checks rules and exemptions against the services that are there, and opens what authenticators need.
   *
   * Rejects with a TypeError that names a rule for nothing, or methods without a rule; and with what an authenticator lacks.
   */
  async open(services: readonly Service[]): Promise<void> {
    const methods = services.flatMap((service) => Object.values(service.methods).map(({ path }) => path));
    const known = [...services.map(({ typeName }) => typeName), ...methods];
    for (const key of Object.keys(this.#options.allow ?? {})) if (key !== "*") checkKnown("allow", key, known);
    for (const key of this.#options.exempt ?? []) if (!Object.hasOwn(BUILT_IN, key)) checkKnown("exempt", key, known);
    const open = methods.filter((path) => !this.#isExempt(path) && this.#rule(path) === undefined);
    if (open.length > 0) {
      const text = `${OPTION}.allow has no rule for ${open.slice(0, 3).join(", ")}${open.length > 3 ? ", …" : ""}`;
      throw new TypeError(`${text}: add one, "*" for all others, or exempt what everybody may call`);
    }
    const { logger } = this.#environment;
    for (const each of this.#by) {
      await each.open?.({
        warn: (safeText) => logger.warn({ scheme: each.scheme }, String(safeText).slice(0, MAX_SHOWN_REASON)),
      });
    }
  }

  /** The guard of a method; null when everybody may call it. */
  of({ path }: Method): MethodGuard | null {
    if (this.#isExempt(path)) return null;
    const rule = this.#rule(path) ?? [];
    return (call) => this.#check(call, rule, 0);
  }

  #isExempt(path: string): boolean {
    const names = (this.#options.exempt ?? []).flatMap((each) =>
      Object.hasOwn(BUILT_IN, each) ? BUILT_IN[each] : each,
    );
    return names.includes(path) || names.includes(serviceOf(path));
  }

  #rule(path: string): AllowRule | undefined {
    const { allow } = this.#options;
    if (allow === undefined) return "authenticated";
    const key = [path, serviceOf(path), "*"].find((each) => Object.hasOwn(allow, each));
    return key === undefined ? undefined : allow[key];
  }

  /** Asks authenticators from the `first` on, without a promise as long as none gives one. */
  #check(call: GuardedCall, rule: AllowRule, first: number): RpcError | null | Promise<RpcError | null> {
    try {
      for (let i = first; i < this.#by.length; i++) {
        const found = this.#by[i].authenticate(call);
        if (isThenable(found)) return this.#later(call, rule, Promise.resolve(found), i);
        if (found !== null) return this.#known(call, rule, found);
      }
    } catch (error) {
      return this.#failed(call, error);
    }
    return this.#refusal(new RpcError(Code.UNAUTHENTICATED, this.#missing, { reason: "credentials" }));
  }

  async #later(
    call: GuardedCall,
    rule: AllowRule,
    found: Promise<Identity | null>,
    i: number,
  ): Promise<RpcError | null> {
    try {
      const identity = await this.#inTime(found);
      return identity === null ? await this.#check(call, rule, i + 1) : this.#known(call, rule, identity);
    } catch (error) {
      return this.#failed(call, error);
    }
  }

  #inTime(found: Promise<Identity | null>): Promise<Identity | null> {
    const { timeoutMs = DEFAULT_TIMEOUT_MS } = this.#options;
    return new Promise((resolve, reject) => {
      const patience = new Patience(timeoutMs, reject);
      this.#wheel.add(patience, this.#environment.clock.now() + timeoutMs);
      found.then(resolve, reject).finally(() => this.#wheel.remove(patience));
    });
  }

  #known(call: GuardedCall, rule: AllowRule, identity: Identity): RpcError | null {
    if (!isIdentity(identity)) throw new TypeError("an authenticator must give an identity or null");
    if (!isAllowed(rule, identity, call)) {
      const text = `${identity.scheme} "${identity.name.slice(0, MAX_SHOWN_NAME)}" may not call ${call.method}`;
      return new RpcError(Code.PERMISSION_DENIED, text, { reason: "credentials" });
    }
    call.identity = identity;
    return null;
  }

  #failed(call: GuardedCall, error: unknown): RpcError {
    if (RpcError.is(error) && error.code !== Code.OK) return this.#refusal(error);
    this.#log(call, error);
    return new RpcError(Code.UNAVAILABLE, "the credentials could not be checked", { reason: "credentials" });
  }

  /** A line a second at most: anybody can make such calls. */
  #log(call: GuardedCall, error: unknown): void {
    const { clock, logger } = this.#environment;
    const now = clock.now();
    if (now < this.#quietUntil) return;
    this.#quietUntil = now + LOG_PAUSE_MS;
    const caller = { method: call.method, peer: call.peer.remoteAddress };
    const safeText = safeTextOf(error);
    if (safeText !== null) return logger.error(caller, `an authenticator failed: ${safeText}`);
    const fields = { ...caller, ...withoutMessage(error) };
    logger.error(fields, "an authenticator failed; its message is left out, it may hold the secret");
  }

  /** The error as it is told: nothing that was beside it goes along. */
  #refusal({ code, text }: RpcError): RpcError {
    const isChallenged = code === Code.UNAUTHENTICATED && this.#challenge !== "";
    const metadata = isChallenged ? new Metadata({ "www-authenticate": this.#challenge }) : undefined;
    return new RpcError(code, text, { reason: "credentials", metadata });
  }
}

/** What an authenticator that takes its time has of it: a place in a wheel, since every call may need one. */
class Patience extends TimerNode {
  readonly #timeoutMs: number;
  readonly #reject: (error: RpcError) => void;

  constructor(timeoutMs: number, reject: (error: RpcError) => void) {
    super();
    this.#timeoutMs = timeoutMs;
    this.#reject = reject;
  }

  override onDue(): void {
    const text = `the credentials could not be checked within ${this.#timeoutMs} ms`;
    this.#reject(new RpcError(Code.UNAVAILABLE, text, { reason: "credentials" }));
  }
}

function isThenable(found: unknown): found is PromiseLike<Identity | null> {
  return typeof found === "object" && found !== null && "then" in found && typeof found.then === "function";
}

/** Whatever else an authenticator gave must let nobody in. */
function isIdentity(found: unknown): boolean {
  const { scheme, name, names } = (found ?? {}) as Partial<Identity>;
  return typeof scheme === "string" && typeof name === "string" && name !== "" && Array.isArray(names);
}

function isAllowed(rule: AllowRule, identity: Identity, call: GuardedCall): boolean {
  if (rule === "authenticated") return true;
  if (typeof rule === "function") return rule(identity, call) === true;
  return identity.names.some((name) => rule.includes(name));
}

function serviceOf(path: string): string {
  return path.slice(1, path.lastIndexOf("/"));
}

/** What may be logged of an error that may have the secret in its message: its kind, and where it was thrown. */
function withoutMessage(error: unknown): { readonly error: string; readonly at: string | undefined } {
  if (!(error instanceof Error)) return { error: typeof error, at: undefined };
  const at = error.stack?.split("\n").find((line) => /^ {4}at .*:\d+:\d+\)?$/.test(line));
  return { error: /^\w{1,60}$/.test(error.name) ? error.name : "Error", at: at?.trim() };
}

/** What an error says for the log; null for one that has nothing of the kind. */
function safeTextOf(error: unknown): string | null {
  const { safeText } = (error ?? {}) as { readonly safeText?: unknown };
  return typeof safeText === "string" ? safeText.slice(0, MAX_SHOWN_REASON) : null;
}

function checkKnown(option: string, key: string, known: readonly string[]): void {
  if (known.includes(key)) return;
  const nearest = nearestName(key, known);
  const hint = nearest === undefined ? "write service.Name, or /service.Name/Method" : `did you mean ${nearest}?`;
  throw new TypeError(`${OPTION}.${option}: this server has no "${key}"; ${hint}`);
}
