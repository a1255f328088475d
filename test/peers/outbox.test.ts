import { describe, expect, it } from "vitest";
import { Outbox } from "./outbox.ts";

describe("Outbox", () => {
  it("hands on what was written before and after the reader came, then ends", async () => {
    const outbox = new Outbox<number>();
    outbox.push(1);
    const seen: number[] = [];
    const reading = (async () => {
      for await (const message of outbox) {
        seen.push(message);
        if (message === 3) outbox.end();
      }
    })();
    outbox.push(2);
    await Promise.resolve();
    outbox.push(3);
    await reading;
    expect(seen).toEqual([1, 2, 3]);
  });
});
