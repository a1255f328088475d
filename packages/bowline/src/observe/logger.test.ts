import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { describe, expect, it } from "vitest";
import { useScene } from "../../test/client/client-scene.ts";
import { TextService } from "../../test/server/text-service.ts";
import { createClient } from "../client/create-client.ts";
import { Code } from "../rpc/code.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { settle } from "../testing/virtual-clock.ts";
import { guardLogger, loggerTo } from "./logger.ts";

const scene = useScene();
const PROGRAM = join(import.meta.dirname, "../../test/server/signal-process.ts");

/** A stream whose reader takes lines when it is told to, or fails. */
class SlowStream extends Writable {
  readonly lines: Record<string, unknown>[] = [];
  failure: Error | null = null;
  isStuck = false;
  #taken: (() => void) | null = null;

  constructor() {
    super({ emitClose: false });
  }

  /** As Node has it for standard error: what fails once may be written to again. */
  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    done(error);
    (this as unknown as { _undestroy(): void })._undestroy();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.failure !== null) return done(this.failure);
    this.lines.push(JSON.parse(chunk.toString()) as Record<string, unknown>);
    if (!this.isStuck) return done();
    this.#taken = done;
  }

  takeAll(): void {
    this.isStuck = false;
    this.#taken?.();
  }
}

/** The field `error` as the line has it, without the places. */
function shown(error: unknown): string {
  const stream = new SlowStream();
  loggerTo(() => stream).error({ error }, "it failed");
  return String(stream.lines[0].error).replaceAll(/\n {4}at .*/g, "");
}

describe("a logger that fails", () => {
  it.each([
    ["throws", () => fail()],
    ["rejects", async () => fail()],
  ])("is not heard of when it %s", async (_name, line) => {
    const unhandled: unknown[] = [];
    const hear = (error: unknown): void => void unhandled.push(error);
    process.on("unhandledRejection", hear);
    try {
      const logger = guardLogger({ info: line, warn: line, error: line });
      for (const level of ["info", "warn", "error"] as const) expect(logger[level]({}, "a line")).toBeUndefined();
      await settle();
    } finally {
      process.off("unhandledRejection", hear);
    }
    expect(unhandled).toEqual([]);
  });

  function fail(): never {
    throw new Error("the disk is full");
  }
});

describe("lines of the log", () => {
  it("are JSON, one each, whatever the fields are", () => {
    const stream = new SlowStream();
    const logger = loggerTo(() => stream);
    const circle: { self?: object } = {};
    circle.self = circle;
    logger.info({ a: 1, big: 5n }, "one");
    logger.warn(circle, "two");
    expect(stream.lines).toEqual([
      { level: "info", time: expect.any(String), message: "one", a: 1, big: "5" },
      { level: "warn", time: expect.any(String), message: "two", fields: "no JSON can be made of them" },
    ]);
  });

  it("that can't be written end nothing, and leave no listener behind", async () => {
    const stream = new SlowStream();
    const logger = loggerTo(() => stream);
    stream.failure = new Error("EPIPE");
    for (let line = 0; line < 20; line++) {
      logger.error({}, "nobody reads this");
      await settle();
    }
    expect(stream.listenerCount("error")).toBe(0);
  });

  it("that can't be written are told to whoever listens", async () => {
    const stream = new SlowStream();
    const heard: Error[] = [];
    stream.on("error", (error) => heard.push(error));
    stream.failure = new Error("EPIPE");
    loggerTo(() => stream).error({}, "nobody reads this");
    await settle();
    expect(heard).toEqual([stream.failure]);
    expect(stream.listenerCount("error")).toBe(1);
  });

  it("wait for a slow reader up to 1 MiB; how many were lost is told then", () => {
    const stream = new SlowStream();
    const logger = loggerTo(() => stream);
    stream.isStuck = true;
    const text = "x".repeat(10_000);
    for (let line = 0; line < 200; line++) logger.info({}, text);
    expect(stream.writableLength).toBeGreaterThan(1_048_576);
    expect(stream.writableLength).toBeLessThan(1_070_000);
    stream.takeAll();
    const { length } = stream.lines;
    logger.info({}, "the reader is back");
    logger.info({}, "and stays");
    expect(stream.lines[length]).toMatchObject({ message: "the reader is back", linesLost: 200 - length });
    expect(stream.lines[length + 1]).not.toHaveProperty("linesLost");
  });
});

describe("an error in the log", () => {
  it("is shown with its causes", () => {
    const root = new TypeError("no route");
    const error = new Error("no answer", { cause: new Error("no connection", { cause: root }) });
    expect(shown(error)).toBe("Error: no answer\ncaused by Error: no connection\ncaused by TypeError: no route");
    expect(shown(new Error("outer", { cause: "ECONNREFUSED" }))).toBe("Error: outer\ncaused by ECONNREFUSED");
  });

  it("is shown with the errors that it gathers", () => {
    const error = new AggregateError([new Error("one"), new Error("two", { cause: new Error("three") })], "all failed");
    expect(shown(error)).toBe(
      "AggregateError: all failed\none of them: Error: one\none of them: Error: two\ncaused by Error: three",
    );
  });

  it("is shown with eight at most, and each once", () => {
    const circle = new Error("circle");
    circle.cause = new Error("inner", { cause: circle });
    expect(shown(circle)).toBe("Error: circle\ncaused by Error: inner");
    let error = new Error("0");
    for (let depth = 1; depth < 100; depth++) error = new Error(String(depth), { cause: error });
    expect(shown(error).split("\n")).toHaveLength(8);
  });

  it("does not show what may hold secrets: objects, and what a source of credentials threw", () => {
    const request = { headers: { authorization: "Bearer s3cr3t" } };
    expect(shown(new Error("outer", { cause: request }))).toBe("Error: outer\ncaused by an object");
    const cause = new Error("POST /token?secret=s3cr3t: 503");
    const failed = new RpcError(Code.UNAVAILABLE, "the token source failed", { reason: "credentials", cause });
    expect(shown(new Error("outer", { cause: failed }))).toBe(
      "Error: outer\ncaused by RpcError: [UNAVAILABLE] the token source failed",
    );
  });
});

it("a server whose standard error is closed serves on when it has something to say", async () => {
  const child = spawn(process.execPath, [PROGRAM], { stdio: ["ignore", "pipe", "pipe"] });
  scene.onClose(() => void child.kill("SIGKILL"));
  const ended = once(child, "exit").then(([code]) => Promise.reject(new Error(`the process ended with ${code}`)));
  const [line] = await Promise.race([once(createInterface({ input: child.stdout }), "line"), ended]);
  ended.catch(() => {});
  const [address] = JSON.parse(line) as string[];
  child.stderr.destroy();
  for (let peers = 0; peers < 3; peers++) {
    const socket = connect(Number(address.split(":").at(-1)), "127.0.0.1");
    socket.end("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    await once(socket.resume(), "close");
  }
  const client = createClient(TextService, address);
  scene.onClose(() => client.close());
  expect(await client.say("x")).toBe("x");
  expect(child.exitCode).toBeNull();
});
