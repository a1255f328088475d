import { describe, expect, it } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import { Code } from "../../src/rpc/code.ts";
import { Metadata } from "../../src/rpc/metadata.ts";
import { RpcError } from "../../src/rpc/rpc-error.ts";
import { RawSetting } from "../../src/testing/raw-frames.ts";
import { settle } from "../../src/testing/virtual-clock.ts";
import { callUnary, trailersOf, WireServer } from "./wire-server.ts";
import { WIRE } from "./wire-service.ts";

const DETAILS = "grpc-status-details-bin";

/** The trailers of a call that ends with `error`, at a client that accepts header lists of `maxListBytes`. */
async function trailers(error: RpcError, maxListBytes?: number): Promise<Readonly<Record<string, string>>> {
  const unary = (): never => {
    throw error;
  };
  await using wire = await WireServer.start({ unary });
  const settings = maxListBytes === undefined ? [] : [[RawSetting.MAX_HEADER_LIST_SIZE, maxListBytes] as const];
  const peer = await wire.connect(settings);
  callUnary(peer, 1);
  return await trailersOf(peer, 1);
}

/** Bytes of a header list, RFC 9113 §6.5.2. */
function listBytes(fields: Readonly<Record<string, string>>): number {
  return Object.entries(fields).reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);
}

const detailed = (bytes: number, more: object = {}): RpcError =>
  new RpcError(Code.NOT_FOUND, "gone", { details: [{ typeUrl: "x/y", value: new Uint8Array(bytes) }], ...more });

describe("a status takes no more than the client accepts", () => {
  it("with a text that is cut for one that accepts little", async () => {
    const long = await trailers(new RpcError(Code.NOT_FOUND, "x".repeat(3000)), 1500);
    expect(long).toMatchObject({ "grpc-status": "5", "grpc-message": expect.stringMatching(/^x{800,}\.\.\.$/) });
    expect(listBytes(long)).toBeLessThanOrEqual(1500);
  });

  it("with details of 8 KiB, or of half of what the client says", async () => {
    expect(await trailers(detailed(9000), 65_536)).toHaveProperty(DETAILS);
    expect(await trailers(detailed(30_000), 65_536)).not.toHaveProperty(DETAILS);
    expect(await trailers(detailed(9000), 16_384)).not.toHaveProperty(DETAILS);
    expect(await trailers(detailed(9000))).not.toHaveProperty(DETAILS);
    expect(await trailers(detailed(5000))).toHaveProperty(DETAILS);
  });

  it("with its metadata rather than its details, where it can't have both", async () => {
    const metadata = new Metadata({ k: "v".repeat(9000) });
    const both = await trailers(detailed(5000, { metadata }), 32_768);
    expect(both).toMatchObject({ "grpc-status": "5", [DETAILS]: expect.any(String), k: expect.any(String) });
    const one = await trailers(detailed(5000, { metadata }), 12_288);
    expect(one).toMatchObject({ "grpc-status": "5", "grpc-message": "gone", k: expect.any(String) });
    expect(one).not.toHaveProperty(DETAILS);
    expect(listBytes(one)).toBeLessThanOrEqual(12_288);
  });
});

describe("a long text", () => {
  it("leaves room for metadata", async () => {
    const metadata = new Metadata({ "request-id": "7".repeat(500) });
    const fields = await trailers(new RpcError(Code.NOT_FOUND, "字".repeat(2000), { metadata }), 16_384);
    expect(fields).toMatchObject({ "grpc-status": "5", "request-id": metadata.get("request-id") });
    expect(listBytes(fields)).toBeLessThanOrEqual(16_384);
  });
});

describe("a status behind data that wait for a window", () => {
  const messages = 29;

  /** What a reader who takes its time gets of a stream that ends with `error`. */
  async function slowly(error: () => RpcError): Promise<{ count: number; end: unknown }> {
    const serverStream = async function* (): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < messages; i++) yield Buffer.alloc(10_000);
      throw error();
    };
    await using wire = await WireServer.start({ serverStream });
    const { network, clock } = wire;
    const limits = { streamWindowBytes: 65_535, connectionWindowBytes: 65_535 };
    const client = createClient(WIRE, wire.server.address, { network, clock, limits });
    let count = 0;
    let end: unknown;
    try {
      for await (const _ of client.serverStream(Buffer.from("x"))) if (++count === 1) await settle();
    } catch (thrown) {
      end = thrown;
    }
    await clock.advanceUntil(client.close());
    return { count, end };
  }

  it("comes behind them, also when it tells of a deadline that another call has missed", async () => {
    const passed = (): RpcError =>
      new RpcError(Code.DEADLINE_EXCEEDED, "no answer of the stock service", { reason: "deadline" });
    const { count, end } = await slowly(passed);
    expect(count).toBe(messages);
    expect(end).toMatchObject({ code: Code.DEADLINE_EXCEEDED, text: "no answer of the stock service" });
  });
});
