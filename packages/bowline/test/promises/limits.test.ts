// HTTP2_LIMITS and the option `limits` of both sides. What happens at each bound: test/wire/limits-*.test.ts.
import { describe, expect, it } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import { HTTP2_LIMITS, http2Limits, type LimitName } from "../../src/http2/limits.ts";
import { createServer } from "../../src/server/create-server.ts";
import { RawSetting } from "../../src/testing/raw-frames.ts";
import { NoteService } from "../client/note-service.ts";
import { useScenes } from "../server/server-scene.ts";
import { NO_NUMBERS, thrown } from "./refusals.ts";

const scenes = useScenes();
const NAMES = Object.keys(HTTP2_LIMITS) as LimitName[];

describe.each(NAMES)("limit %s", (name) => {
  const { min, max, unit, default: usual } = HTTP2_LIMITS[name];
  const whole = `give a whole number ${unit === "per second" ? unit : `of ${unit}`} from ${min} to ${max}`;

  it("may have any value of its range, on both sides, and its default when nothing is said", async () => {
    for (const value of [min, max]) {
      expect(createServer({ limits: { [name]: value } }).state).toBe("new");
      await createClient(NoteService, "127.0.0.1:1", { limits: { [name]: value } }).close();
      expect(http2Limits({ [name]: value })[name]).toBe(value);
    }
    expect(http2Limits()[name]).toBe(usual);
    expect(http2Limits({ [name]: undefined })[name]).toBe(usual);
  });

  it.each([min - 1, max + 1, min + 0.5, Number.POSITIVE_INFINITY])("can't be %d, on either side", (value) => {
    const text = `RangeError: limits.${name} is ${value}: ${whole}`;
    expect(thrown(() => createServer({ limits: { [name]: value } }))).toBe(text);
    expect(thrown(() => createClient(NoteService, "127.0.0.1:1", { limits: { [name]: value } }))).toBe(text);
  });

  it("can't be what is no number", () => {
    for (const [value] of NO_NUMBERS) {
      expect(thrown(() => http2Limits({ [name]: value as number }))).toContain(`RangeError: limits.${name} is `);
      expect(thrown(() => http2Limits({ [name]: value as number }))).toContain(whole);
    }
  });
});

describe("the limits", () => {
  it.each([
    ["maxConcurentStreams", "did you mean maxConcurrentStreams?"],
    ["maxheaderlistbytes", "did you mean maxHeaderListBytes?"],
    ["stallTimeout", "did you mean stallTimeoutMs?"],
    ["window", "known are maxConcurrentStreams, maxHeaderListBytes, "],
    ["valueOf", "known are maxConcurrentStreams, maxHeaderListBytes, "],
  ])("name the nearest, or all, for one that there is not: %s", (name, hint) => {
    const text = thrown(() => createServer({ limits: { [name]: 1 } }));
    expect(text).toContain(`TypeError: limits.${name} is not a limit; `);
    expect(text).toContain(hint);
  });

  it("are announced by a server with their defaults, and with what is set", async () => {
    const usual = await (await (await scenes.start()).rawPeer()).handshake();
    expect(usual.settings).toContainEqual([RawSetting.MAX_CONCURRENT_STREAMS, 1024]);
    expect(usual.settings).toContainEqual([RawSetting.MAX_HEADER_LIST_SIZE, 16_384]);
    expect(usual.settings).toContainEqual([RawSetting.INITIAL_WINDOW_SIZE, 262_144]);
    const limits = { maxConcurrentStreams: 5, maxHeaderListBytes: 2000, streamWindowBytes: 100_000 };
    const set = await (await (await scenes.start({}, { limits })).rawPeer()).handshake();
    expect(set.settings).toContainEqual([RawSetting.MAX_CONCURRENT_STREAMS, 5]);
    expect(set.settings).toContainEqual([RawSetting.MAX_HEADER_LIST_SIZE, 2000]);
    expect(set.settings).toContainEqual([RawSetting.INITIAL_WINDOW_SIZE, 100_000]);
  });
});
