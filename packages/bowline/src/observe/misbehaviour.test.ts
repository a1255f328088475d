import { describe, expect, it } from "vitest";
import { RecordingLogger } from "../../test/server/server-scene.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";
import { Misbehaviour } from "./misbehaviour.ts";

describe("what peers do wrong", () => {
  it("is counted always, and has ten lines in 10 s", async () => {
    const clock = new VirtualClock();
    const logger = new RecordingLogger();
    const misbehaviour = new Misbehaviour(clock, logger);
    for (let i = 0; i < 25; i++) misbehaviour.add("garbage", "10.0.0.1", "no HTTP/2");
    expect(misbehaviour.counts.get("garbage")).toBe(25);
    expect(logger.lines).toHaveLength(10);
    await clock.advance(10_001);
    misbehaviour.add("garbage", "10.0.0.1", "no HTTP/2");
    expect(logger.lines).toHaveLength(12);
    expect(logger.lines[10]).toMatchObject({ fields: { suppressed: 15 } });
  });

  it("has a line for each kind, however many there were of another", () => {
    const logger = new RecordingLogger();
    const misbehaviour = new Misbehaviour(new VirtualClock(), logger);
    for (let i = 0; i < 1000; i++) misbehaviour.add("garbage", "10.0.0.1", "no HTTP/2");
    for (let i = 0; i < 1000; i++) misbehaviour.add("resetBurst", "10.0.0.2", "connection ended");
    expect(logger.lines.map(({ fields }) => fields)).toEqual([
      ...Array.from({ length: 10 }, () => ({ peer: "10.0.0.1", kind: "garbage" })),
      { peer: "10.0.0.2", kind: "resetBurst" },
    ]);
  });
});
