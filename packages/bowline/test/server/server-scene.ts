import { afterEach } from "vitest";
import type { ClientOptions } from "../../src/client/client-options.ts";
import { type Client, createClient } from "../../src/client/create-client.ts";
import { dial } from "../../src/net/dial.ts";
import type { Logger } from "../../src/observe/logger.ts";
import { systemClock } from "../../src/rpc/clock.ts";
import { RpcError } from "../../src/rpc/rpc-error.ts";
import { createServer } from "../../src/server/create-server.ts";
import type { Server } from "../../src/server/server.ts";
import type { ServerOptions } from "../../src/server/server-options.ts";
import { RawPeer } from "../../src/testing/raw-peer.ts";
import { echo, type TextClient, type TextHandlers, TextService } from "./text-service.ts";

/** A log line as it was written. */
export interface LogLine {
  readonly level: "info" | "warn" | "error";
  readonly text: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Keeps its lines. */
export class RecordingLogger implements Logger {
  readonly lines: LogLine[] = [];

  info(fields: object, text: string): void {
    this.lines.push({ level: "info", text, fields: { ...fields } });
  }

  warn(fields: object, text: string): void {
    this.lines.push({ level: "warn", text, fields: { ...fields } });
  }

  error(fields: object, text: string): void {
    this.lines.push({ level: "error", text, fields: { ...fields } });
  }
}

/** A server of the text service with all that talks to it. */
export class ServerScene {
  readonly log: RecordingLogger;
  readonly server: Server;
  readonly #closers: (() => void | Promise<void>)[] = [];

  constructor(handlers: Partial<TextHandlers>, options: ServerOptions) {
    this.log = new RecordingLogger();
    this.server = createServer({
      listen: "127.0.0.1:0",
      handleSignals: false,
      drainAcceptMs: 0,
      drainTimeoutMs: 0,
      logger: this.log,
      ...options,
    });
    const isClass = Object.getPrototypeOf(handlers) !== Object.prototype;
    this.server.add(TextService, isClass ? (handlers as TextHandlers) : { ...echo, ...handlers });
  }

  client(options: ClientOptions = {}): Client<TextClient> {
    const client = createClient(TextService, this.server.address, { retry: false, timeoutMs: 5000, ...options });
    this.#closers.push(() => client.close());
    return client;
  }

  /** A client that says what a test tells it to; `acknowledges` unless the options say otherwise. */
  async rawPeer(acknowledges: boolean = true): Promise<RawPeer> {
    const link = await dial(this.server.address, { clock: systemClock });
    const peer = new RawPeer(link, { role: "client", acknowledges });
    this.#closers.push(() => peer.destroy());
    return peer;
  }

  /** Resolves once the condition holds, looked at after each turn of the event loop; fails after 3 s. */
  async eventually(condition: () => boolean): Promise<void> {
    const giveUpAt = performance.now() + 3000;
    while (!condition()) {
      if (performance.now() > giveUpAt) throw new Error(`this never came true: ${condition}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Has something closed with the scene, before its server. */
  onClose(closer: () => void | Promise<void>): void {
    this.#closers.push(closer);
  }

  async close(): Promise<void> {
    for (const close of this.#closers) await close();
    await this.server.close();
  }
}

/** Makes scenes whose handlers are those given (some of them, or an instance of a class) and are closed after each test. Calls in flight when a server closes are cancelled unless the options give them time. */
export function useScenes(): {
  start(handlers?: Partial<TextHandlers>, options?: ServerOptions): Promise<ServerScene>;
  make(handlers?: Partial<TextHandlers>, options?: ServerOptions): ServerScene;
} {
  let scenes: ServerScene[] = [];
  afterEach(async () => {
    const all = scenes;
    scenes = [];
    for (const scene of all) await scene.close();
  });
  const make = (handlers: Partial<TextHandlers> = {}, options: ServerOptions = {}): ServerScene => {
    const scene = new ServerScene(handlers, options);
    scenes.push(scene);
    return scene;
  };
  const start = async (handlers?: Partial<TextHandlers>, options?: ServerOptions): Promise<ServerScene> => {
    const scene = make(handlers, options);
    await scene.server.start();
    return scene;
  };
  return { start, make };
}

/** The error that a call fails with. */
export async function failure(call: Promise<unknown>): Promise<RpcError> {
  const outcome = await call.then(
    (answer) => new Error(`the call succeeded with ${JSON.stringify(answer)}`),
    (error: unknown) => error,
  );
  if (RpcError.is(outcome)) return outcome;
  throw outcome;
}

/** A `say` that opens `running` and answers with its text once `finish` is open; without one, never. */
export function heldSay(running: { open(): void }, finish?: { readonly opened: Promise<void> }): TextHandlers["say"] {
  return async (text) => {
    running.open();
    await (finish === undefined ? new Promise(() => {}) : finish.opened);
    return text;
  };
}

/** A promise with its two ends outside. */
export function gate<T = void>(): {
  readonly opened: Promise<T>;
  open(value: T): void;
} {
  let open: (value: T) => void = () => {};
  const opened = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}
