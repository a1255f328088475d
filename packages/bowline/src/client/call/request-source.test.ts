import { describe, expect, it } from "vitest";
import { NoteService } from "../../../test/client/note-service.ts";
import { bytesCodec } from "../../codec/codec.ts";
import { EncodedMessage } from "../../grpc/message-encoding.ts";
import { isMessages } from "../../rpc/iteration/user-iterator.ts";
import { RequestSource } from "./request-source.ts";

const { join } = NoteService.methods;

/** The next message, kept or not. */
function take(source: RequestSource): unknown {
  const message = source.take();
  return message instanceof EncodedMessage ? message.message : message;
}

/** All that is left in a source. */
async function rest(source: RequestSource): Promise<unknown[]> {
  const all: unknown[] = [];
  while (await source.advance()) all.push(take(source));
  return all;
}

describe("requests", () => {
  it("are taken from anything that can be iterated", async () => {
    const generator = async function* (): AsyncGenerator<string> {
      yield "a";
      yield "b";
    };
    for (const requests of [["a", "b"], new Set(["a", "b"]), generator()]) {
      expect(isMessages(requests)).toBe(true);
      expect(await rest(new RequestSource(requests, join))).toEqual(["a", "b"]);
    }
    for (const other of [null, undefined, 7, "ab", {}]) expect(isMessages(other)).toBe(false);
  });

  it("are given again after a rewind, until the server has answered", async () => {
    const source = new RequestSource(["a", "b", "c"], join);
    await source.advance();
    source.take();
    source.rewind();
    expect(source.isRepeatable).toBe(true);
    expect(await rest(source)).toEqual(["a", "b", "c"]);
    source.commit();
    expect(source.isRepeatable).toBe(false);
  });

  it("are given again as they were, though the user has changed them", async () => {
    const bytes = Buffer.alloc(3);
    const requests = function* (): Generator<Uint8Array> {
      for (let i = 1; i <= 4; i++) yield bytes.fill(i);
    };
    const source = new RequestSource(requests(), { ...join, input: bytesCodec });
    const taken = async (): Promise<string> => {
      await source.advance();
      const message = source.take();
      return Buffer.from(message instanceof EncodedMessage ? message.bytes : (message as Uint8Array)).toString("hex");
    };
    expect([await taken(), await taken(), await taken()]).toEqual(["010101", "020202", "030303"]);
    source.rewind();
    expect([await taken(), await taken(), await taken()]).toEqual(["010101", "020202", "030303"]);
    expect(source.isRepeatable).toBe(true);
    source.commit();
    expect(await taken()).toBe("040404");
  });

  it("that were taken but not sent yet survive the answer", async () => {
    const source = new RequestSource(["a", "b", "c"], join);
    await source.advance();
    source.take();
    await source.advance();
    source.rewind();
    source.commit();
    expect(await rest(source)).toEqual(["a", "b", "c"]);
  });

  it("are kept up to 64 messages and 64 KiB", async () => {
    const many = new RequestSource(Array(65).fill("x"), join);
    for (let i = 0; i < 64; i++) {
      await many.advance();
      many.take();
    }
    expect(many.isRepeatable).toBe(true);
    expect(await rest(many)).toEqual(["x"]);
    expect(many.isRepeatable).toBe(false);
    const large = new RequestSource(["x".repeat(65_536), "y"], join);
    await large.advance();
    large.take();
    expect(large.isRepeatable).toBe(true);
    expect(await rest(large)).toEqual(["y"]);
    expect(large.isRepeatable).toBe(false);
  });

  it("are asked for one at a time, whoever waits", async () => {
    let asked = 0;
    const { promise, resolve } = Promise.withResolvers<IteratorResult<string>>();
    const next = (): Promise<IteratorResult<string>> => {
      asked++;
      return promise;
    };
    const requests = { [Symbol.asyncIterator]: () => ({ next }) };
    const source = new RequestSource(requests, join);
    const waiting = [source.advance(), source.advance()];
    resolve({ value: "a", done: false });
    expect(await Promise.all(waiting)).toEqual([true, true]);
    expect([asked, take(source)]).toEqual([1, "a"]);
  });

  it("are left once, and not at all when they have ended or thrown", async () => {
    let left = 0;
    const leave = (): IteratorResult<string> => {
      left++;
      return { value: undefined, done: true };
    };
    const requests = (next: () => IteratorResult<string>) => ({ [Symbol.iterator]: () => ({ next, return: leave }) });
    const endless = new RequestSource(
      requests(() => ({ value: "a", done: false })),
      join,
    );
    await endless.advance();
    endless.leave();
    endless.leave();
    expect(left).toBe(1);
    const ended = new RequestSource(
      requests(() => ({ value: undefined, done: true })),
      join,
    );
    expect(await ended.advance()).toBe(false);
    ended.leave();
    const thrown = new RequestSource(
      requests(() => {
        throw new Error("no more");
      }),
      join,
    );
    expect(() => thrown.advance()).toThrow("no more");
    thrown.leave();
    expect(left).toBe(1);
  });
});
