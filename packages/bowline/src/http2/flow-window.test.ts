import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { overflowsWindow, ReceiveWindows } from "./flow-window.ts";
import { DEFAULT_WINDOW_BYTES, MAX_INT31 } from "./frames.ts";
import { http2Limits } from "./limits.ts";
import { Http2Stream } from "./stream.ts";

const KIB = 1024;

function windows(
  connectionWindowBytes = 128 * KIB,
  maxWindowBytes = 1024 * KIB,
  streamWindowBytes = 64 * KIB,
): ReceiveWindows {
  return new ReceiveWindows(http2Limits({ connectionWindowBytes, maxWindowBytes, streamWindowBytes }));
}

function openStream(of: ReceiveWindows): Http2Stream {
  const stream = new Http2Stream();
  stream.receiveWindow = of.streamBytes;
  return stream;
}

describe("send windows", () => {
  it("may reach 2^31 - 1 and not pass it, from below zero too", () => {
    expect(overflowsWindow(0, MAX_INT31)).toBe(false);
    expect(overflowsWindow(1, MAX_INT31)).toBe(true);
    expect(overflowsWindow(MAX_INT31, 1)).toBe(true);
    expect(overflowsWindow(-1, MAX_INT31)).toBe(false);
    expect(overflowsWindow(-65_535, MAX_INT31)).toBe(false);
  });
});

describe("receive windows", () => {
  it("take all of the connection's window and not an octet more", () => {
    const receive = windows();
    expect(receive.accept(128 * KIB)).toBe(true);
    expect(receive.accept(1)).toBe(false);
  });

  it("are given back when an eighth of them is used, all at once", () => {
    const receive = windows();
    receive.accept(16 * KIB - 1);
    expect(receive.connectionCredit()).toBe(0);
    receive.accept(1);
    expect(receive.connectionCredit()).toBe(16 * KIB);
    expect(receive.connectionCredit()).toBe(0);
    expect(receive.accept(128 * KIB)).toBe(true);
  });

  it("are never smaller for the connection than the protocol starts with", () => {
    expect(windows(65_535).connectionBytes).toBe(DEFAULT_WINDOW_BYTES);
  });

  it("hold back for a stream what its user has not read", () => {
    const receive = windows();
    const stream = openStream(receive);
    stream.receiveWindow -= 40_000;
    stream.heldBytes = 40_000;
    expect(receive.streamCredit(stream)).toBe(0);
    stream.heldBytes = 32_000;
    expect(receive.streamCredit(stream)).toBe(0);
    stream.heldBytes = 31_000;
    expect(receive.streamCredit(stream)).toBe(9_000);
    expect(stream.receiveWindow).toBe(DEFAULT_WINDOW_BYTES - 31_000);
  });

  it("double when a round trip carried two thirds of the connection's window, up to the bound", () => {
    const receive = windows(128 * KIB, 300 * KIB);
    expect(receive.startSample()).toBe(true);
    expect(receive.startSample()).toBe(false);
    receive.accept(80 * KIB);
    expect(receive.finishSample()).toBe(0);
    const growth: number[] = [];
    for (let i = 0; i < 2; i++) {
      expect(receive.startSample()).toBe(true);
      receive.accept(Math.ceil((receive.connectionBytes * 2) / 3));
      growth.push(receive.finishSample());
      receive.connectionCredit();
    }
    expect(growth).toEqual([128 * KIB, 44 * KIB]);
    // Those of streams have not grown as far.
    expect(receive.startSample()).toBe(true);
    receive.announcedStreamBytes = 300 * KIB;
    receive.finishSample();
    expect(receive.startSample()).toBe(false);
  });

  it("of streams grow without the connection's when one stream is read as fast as its window allows", () => {
    const receive = windows(1024 * KIB, 1024 * KIB);
    const [stream, other] = [openStream(receive), openStream(receive)];
    const read = (of: Http2Stream, bytes: number): void => {
      receive.accept(bytes);
      of.receiveWindow -= bytes;
      receive.streamCredit(of);
    };
    receive.startSample();
    read(stream, 20_000);
    read(other, 60_000);
    expect([receive.finishSample(), receive.hasFastStream]).toEqual([0, false]);
    receive.startSample();
    for (let count = 0; count < 5; count++) read(stream, 9000);
    expect([receive.finishSample(), receive.hasFastStream]).toEqual([0, true]);
    expect(receive.nextStreamBytes()).toBe(128 * KIB);
  });

  it("of streams don't grow for one that sends more than is read", () => {
    const receive = windows(1024 * KIB, 1024 * KIB);
    const stream = openStream(receive);
    receive.startSample();
    receive.accept(60_000);
    stream.receiveWindow -= 60_000;
    stream.heldBytes = 50_000;
    receive.streamCredit(stream);
    expect([receive.finishSample(), receive.hasFastStream]).toEqual([0, false]);
  });

  it("of streams follow the connection's by doubling, and count once the peer has acknowledged them", () => {
    const receive = windows(256 * KIB, 1024 * KIB);
    expect(receive.settingsAcknowledged()).toBe(64 * KIB - DEFAULT_WINDOW_BYTES);
    expect(receive.streamBytes).toBe(64 * KIB);
    expect(receive.nextStreamBytes()).toBe(128 * KIB);
    receive.announcedStreamBytes = 128 * KIB;
    expect(receive.settingsAcknowledged()).toBe(64 * KIB);
    receive.announcedStreamBytes = 256 * KIB;
    receive.settingsAcknowledged();
    expect(receive.nextStreamBytes()).toBe(0);
  });

  it("never let the peer send more than was announced, nor stop it for good", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(100_000), { maxLength: 60 }), (sizes) => {
        const receive = windows();
        const stream = openStream(receive);
        let announcedOfConnection = receive.connectionBytes;
        let announcedOfStream = stream.receiveWindow;
        for (const size of sizes) {
          const bytes = Math.min(size, announcedOfConnection, announcedOfStream);
          expect(receive.accept(bytes)).toBe(true);
          stream.receiveWindow -= bytes;
          announcedOfConnection += receive.connectionCredit() - bytes;
          announcedOfStream += receive.streamCredit(stream) - bytes;
          expect(announcedOfStream).toBe(stream.receiveWindow);
          expect(announcedOfConnection).toBeGreaterThan(receive.connectionBytes * (7 / 8));
          expect(announcedOfStream).toBeGreaterThan(receive.streamBytes * (7 / 8));
        }
      }),
    );
  });
});
