import { RawSetting, rawData, rawFrame, rawHeaders } from "bowline/testing";
import { describe, expect, it } from "vitest";
import type { ArrivedFrame } from "./raw-connection.ts";
import { type SettingPairs, SettingsJudge } from "./settings-judge.ts";

function frame(bytes: Buffer): ArrivedFrame {
  return { type: bytes[3], flags: bytes[4], streamId: bytes.readUInt32BE(5), payload: bytes.subarray(9) };
}

const ACK = frame(rawFrame("SETTINGS", 1, 0));
const open = (streamId: number, block: Uint8Array = Buffer.of()): ArrivedFrame => frame(rawHeaders(streamId, block));
const data = (streamId: number, bytes: number): ArrivedFrame => frame(rawData(streamId, new Uint8Array(bytes)));

/** One that has sent these SETTINGS and got them acknowledged. */
function judge(...settings: SettingPairs): SettingsJudge {
  const made = new SettingsJudge();
  made.sent(settings);
  made.arrived(ACK);
  return made;
}

describe("a judge of changing SETTINGS", () => {
  it("takes the old window until the new one is acknowledged, and none larger", () => {
    const made = judge([RawSetting.INITIAL_WINDOW_SIZE, 100]);
    made.sent([[RawSetting.INITIAL_WINDOW_SIZE, 10]]);
    made.arrived(open(1));
    made.arrived(data(1, 100));
    expect(made.faults).toEqual([]);
    made.arrived(ACK);
    made.arrived(open(3));
    made.arrived(data(3, 11));
    expect(made.faults).toEqual(["stream 3 has sent 11 bytes into a window of 10"]);
  });

  it("finds a stream too many, but none among those that were open before", () => {
    const made = judge([RawSetting.MAX_CONCURRENT_STREAMS, 2]);
    made.arrived(open(1));
    made.arrived(open(3));
    made.sent([[RawSetting.MAX_CONCURRENT_STREAMS, 1]]);
    made.arrived(ACK);
    expect(made.faults).toEqual([]);
    made.arrived(open(5));
    made.closed(1);
    made.closed(5);
    made.arrived(open(7));
    made.closed(3);
    made.closed(7);
    made.arrived(open(9));
    expect(made.faults).toEqual([
      "stream 5 was opened beside 2 others where 1 may be open in all",
      "stream 7 was opened beside 1 others where 1 may be open in all",
    ]);
  });

  it("finds a header block that conceals a table that was smaller for a while", () => {
    const small: SettingPairs = [
      [RawSetting.HEADER_TABLE_SIZE, 0],
      [RawSetting.HEADER_TABLE_SIZE, 4096],
    ];
    const made = judge(...small);
    made.arrived(open(1, Buffer.of(0x20, 0x3f, 0xe1, 0x1f, 0x82)));
    expect(made.faults).toEqual([]);
    made.sent(small);
    made.arrived(ACK);
    made.arrived(open(3, Buffer.of(0x82)));
    expect(made.faults).toEqual(["a header block that does not say that the table was down to 0 bytes meanwhile"]);
  });

  it("finds header blocks that still use a larger table, and frames that are too long", () => {
    const made = judge([RawSetting.HEADER_TABLE_SIZE, 0], [RawSetting.MAX_FRAME_SIZE, 16_384]);
    made.arrived(open(1, Buffer.of(0x82)));
    made.arrived(open(3, Buffer.of(0x20, 0x82)));
    made.arrived(open(5, Buffer.of(0x82)));
    made.arrived(data(5, 16_385));
    expect(made.faults).toEqual([
      "a header block that does not say that the table was down to 0 bytes meanwhile",
      "a header block with a table of 4096 bytes where 0 are allowed",
      "a frame of 16385 bytes is too long",
    ]);
  });
});
