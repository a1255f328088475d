import { describe, expect, it } from "vitest";
import { RawSetting, rawSettings } from "../testing/raw-frames.ts";
import { ErrorCode, MAX_INT31 } from "./frames.ts";
import { http2Limits } from "./limits.ts";
import { ownSettings, PeerSettings, type SettingsError } from "./settings.ts";

function apply(
  to: PeerSettings,
  pairs: readonly (readonly [number, number])[],
  peerIsServer = false,
): SettingsError | null {
  const frame = rawSettings(pairs);
  return to.apply(frame, 9, frame.length, peerIsServer, 32);
}

describe("a peer's settings", () => {
  it("start as the protocol says", () => {
    const peer = new PeerSettings();
    expect(peer).toMatchObject({
      headerTableBytes: 4096,
      initialWindowBytes: 65_535,
      maxFrameBytes: 16_384,
      received: false,
    });
  });

  it("are applied in the order of the frame, the last of one kind counts", () => {
    const peer = new PeerSettings();
    expect(
      apply(peer, [
        [RawSetting.MAX_CONCURRENT_STREAMS, 1],
        [RawSetting.INITIAL_WINDOW_SIZE, 0],
        [RawSetting.MAX_HEADER_LIST_SIZE, 8192],
        [RawSetting.MAX_FRAME_SIZE, 20_000],
        [RawSetting.MAX_CONCURRENT_STREAMS, 7],
      ]),
    ).toBeNull();
    expect(peer).toMatchObject({
      maxConcurrentStreams: 7,
      initialWindowBytes: 0,
      maxHeaderListBytes: 8192,
      maxFrameBytes: 20_000,
      received: true,
    });
  });

  it("remember the lowest table bound of the frame: for a moment the peer may have held no more", () => {
    const peer = new PeerSettings();
    apply(peer, [
      [RawSetting.HEADER_TABLE_SIZE, 0],
      [RawSetting.HEADER_TABLE_SIZE, 8000],
    ]);
    expect(peer).toMatchObject({ headerTableBytes: 8000, lowestTableBytes: 0 });
    apply(peer, [[RawSetting.ENABLE_PUSH, 0]]);
    expect(peer.lowestTableBytes).toBe(8000);
  });

  it("without a bound on streams mean none, once they have come", () => {
    const peer = new PeerSettings();
    expect(peer.maxConcurrentStreams).toBe(100);
    apply(peer, []);
    expect(peer.maxConcurrentStreams).toBe(MAX_INT31);
  });

  it("of unknown kinds are ignored", () => {
    const peer = new PeerSettings();
    const before = { ...peer };
    expect(
      apply(peer, [
        [0, 1],
        [7, 1],
        [0xffff, 0xffffffff],
      ]),
    ).toBeNull();
    expect(peer).toMatchObject({ ...before, received: true, maxConcurrentStreams: MAX_INT31 });
  });

  it("make frames of 64 KiB at most, however large the peer takes them", () => {
    const peer = new PeerSettings();
    expect(apply(peer, [[RawSetting.MAX_FRAME_SIZE, 0xffffff]])).toBeNull();
    expect(peer.maxFrameBytes).toBe(65_536);
  });

  it.each([
    ["ENABLE_PUSH 2", [RawSetting.ENABLE_PUSH, 2], false, ErrorCode.PROTOCOL_ERROR],
    ["ENABLE_PUSH 1 of a server", [RawSetting.ENABLE_PUSH, 1], true, ErrorCode.PROTOCOL_ERROR],
    ["INITIAL_WINDOW_SIZE 2^31", [RawSetting.INITIAL_WINDOW_SIZE, 0x80000000], false, ErrorCode.FLOW_CONTROL_ERROR],
    ["MAX_FRAME_SIZE 0", [RawSetting.MAX_FRAME_SIZE, 0], true, ErrorCode.PROTOCOL_ERROR],
    ["MAX_FRAME_SIZE 16383", [RawSetting.MAX_FRAME_SIZE, 16_383], false, ErrorCode.PROTOCOL_ERROR],
    ["MAX_FRAME_SIZE 2^24", [RawSetting.MAX_FRAME_SIZE, 0x1000000], false, ErrorCode.PROTOCOL_ERROR],
  ] as const)("refuse %s", (what, entry, peerIsServer, code) => {
    const error = apply(new PeerSettings(), [entry], peerIsServer);
    expect(error?.code).toBe(code);
    expect(error?.text).toContain(what.split(" ")[0]);
  });

  it("may be pushed by a client that says 1", () => {
    expect(apply(new PeerSettings(), [[RawSetting.ENABLE_PUSH, 1]])).toBeNull();
  });

  it("may be 32 in one frame and not 33", () => {
    const entries = (count: number) => Array.from({ length: count }, () => [RawSetting.ENABLE_PUSH, 0] as const);
    expect(apply(new PeerSettings(), entries(32))).toBeNull();
    const error = apply(new PeerSettings(), entries(33));
    expect(error).toMatchObject({ code: ErrorCode.ENHANCE_YOUR_CALM, limit: "maxSettingsEntries" });
  });
});

describe("our settings", () => {
  it("say how many streams a server takes, and that a client wants no pushes", () => {
    const limits = http2Limits({
      maxConcurrentStreams: 5,
      headerTableBytes: 0,
      streamWindowBytes: 70_000,
      maxHeaderListBytes: 2000,
    });
    expect(ownSettings(limits, true)).toEqual([
      [1, 0],
      [3, 5],
      [4, 70_000],
      [6, 2000],
    ]);
    expect(ownSettings(limits, false)).toEqual([
      [1, 0],
      [2, 0],
      [4, 70_000],
      [6, 2000],
    ]);
  });
});
