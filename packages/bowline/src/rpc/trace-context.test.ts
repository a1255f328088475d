import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  parseTraceparent,
  parseTraceparentText,
  type SpanIds,
  spanIdHex,
  startSpan,
  TRACE_SAMPLED,
  TRACEPARENT_BYTES,
  type TraceContext,
  traceIdHex,
  traceparentText,
  writeSpan,
  writeTraceparent,
} from "./trace-context.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";
const HEADER = `00-${TRACE}-${SPAN}-01`;

function parseBytes(text: string): TraceContext | null {
  const buffer = Buffer.from(`ab${text}-f`, "latin1");
  return parseTraceparent(buffer, 2, text.length);
}

function noSpan(): SpanIds {
  return { traceA: 0, traceB: 0, traceC: 0, traceD: 0, spanA: 0, spanB: 0, traceFlags: 0 };
}

function written(span: SpanIds): string {
  const target = Buffer.alloc(TRACEPARENT_BYTES + 2, 0xee);
  expect(writeSpan(target, 1, span)).toBe(TRACEPARENT_BYTES + 1);
  expect([target[0], target[TRACEPARENT_BYTES + 1]]).toEqual([0xee, 0xee]);
  return target.toString("latin1", 1, TRACEPARENT_BYTES + 1);
}

describe("reading traceparent", () => {
  it("takes trace, span and flags", () => {
    const context = parseBytes(HEADER);
    expect(context?.traceIdHex).toBe(TRACE);
    expect(context?.spanIdHex).toBe(SPAN);
    expect(context?.traceFlags).toBe(1);
    expect(context?.isSampled).toBe(true);
    expect(context?.tracestate).toBeUndefined();
    expect(String(context)).toBe(HEADER);
  });

  it("takes the high bits of ids without making them negative text", () => {
    const header = `00-${"f".repeat(32)}-${"f".repeat(16)}-00`;
    expect(String(parseBytes(header))).toBe(header);
    expect(parseBytes(header)?.isSampled).toBe(false);
  });

  it.each([
    ["a trace id of zeros", `00-${"0".repeat(32)}-${SPAN}-01`],
    ["a span id of zeros", `00-${TRACE}-${"0".repeat(16)}-01`],
    ["version ff", `ff-${TRACE}-${SPAN}-01`],
    ["upper case in the version", `0A-${TRACE}-${SPAN}-01`],
    ["upper case in the trace id", `00-${TRACE.toUpperCase()}-${SPAN}-01`],
    ["upper case in the span id", `00-${TRACE}-${SPAN.toUpperCase()}-01`],
    ["upper case in the flags", `00-${TRACE}-${SPAN}-0A`],
    ["a letter that is no digit", `00-${TRACE.replace("4", "g")}-${SPAN}-01`],
    ["flags that are no digits", `00-${TRACE}-${SPAN}-0x`],
    ["a byte above ASCII", `00-${TRACE.replace("4", "\xb4")}-${SPAN}-01`],
    ["other separators", HEADER.replaceAll("-", "_")],
    ["one wrong separator", `00-${TRACE}_${SPAN}-01`],
    ["too little", HEADER.slice(0, 54)],
    ["too much for version 00", `${HEADER}-what`],
    ["a dash too much for version 00", `${HEADER}-`],
    ["a later version with anything but a dash behind", `01-${TRACE}-${SPAN}-01x`],
    ["nothing", ""],
    ["spaces around", ` ${HEADER.slice(0, 54)}`],
  ])("refuses %s", (_what, text) => {
    expect(parseBytes(text)).toBeNull();
    expect(parseTraceparentText(text)).toBeNull();
  });

  it.each(["01", "cc", "fe", "0f", "f0"])("takes the first 55 characters of version %s", (version) => {
    const header = `${version}-${TRACE}-${SPAN}-01`;
    for (const text of [header, `${header}-`, `${header}-what-the-future-will-be-like`]) {
      expect(String(parseBytes(text))).toBe(HEADER);
      expect(String(parseTraceparentText(text))).toBe(HEADER);
    }
  });

  it("does not take characters beyond a byte for the digit they end in", () => {
    expect(parseTraceparentText(HEADER.replace("4", "\u0134"))).toBeNull();
  });

  it("finds exactly one wrong digit wherever it stands", () => {
    for (let at = 0; at < TRACEPARENT_BYTES; at++) {
      for (const wrong of ["g", "G", "A", "/", ":", "`", "\x00", "\xff"]) {
        expect(parseBytes(HEADER.slice(0, at) + wrong + HEADER.slice(at + 1))).toBeNull();
      }
    }
  });

  it("takes every valid header and gives it back", () => {
    const hex = (length: number): fc.Arbitrary<string> =>
      fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: length, maxLength: length });
    fc.assert(
      fc.property(hex(32), hex(16), fc.constantFrom("00", "01", "02", "03"), (trace, span, flags) => {
        fc.pre(/[^0]/.test(trace) && /[^0]/.test(span));
        const header = `00-${trace}-${span}-${flags}`;
        const context = parseBytes(header) as TraceContext;
        expect(context.toString()).toBe(header);
        expect(written(context)).toBe(header);
        expect(String(parseTraceparentText(header))).toBe(header);
      }),
    );
  });

  it("never throws on whatever a peer sends", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        const context = parseTraceparent(Buffer.from(bytes), 0, bytes.length);
        expect(context === null || context.toString().length === TRACEPARENT_BYTES).toBe(true);
      }),
    );
  });
});

describe("spans", () => {
  it("keep trace and flags of their parent and get an id of their own", () => {
    const parent = parseBytes(HEADER) as TraceContext;
    const span = noSpan();
    startSpan(span, parent);
    expect(traceIdHex(span)).toBe(TRACE);
    expect(span.traceFlags).toBe(1);
    expect(spanIdHex(span)).not.toBe(SPAN);
    expect(spanIdHex(span)).toMatch(/^(?!0{16})[0-9a-f]{16}$/);
  });

  it("begin a sampled trace when they have no parent", () => {
    const span = noSpan();
    startSpan(span, null);
    expect(traceIdHex(span)).toMatch(/^(?!0{32})[0-9a-f]{32}$/);
    expect(span.traceFlags).toBe(TRACE_SAMPLED);
  });

  it("are remembered by who sent them", () => {
    const span = noSpan();
    const target = Buffer.alloc(TRACEPARENT_BYTES);
    expect(writeTraceparent(target, 0, null, span)).toBe(TRACEPARENT_BYTES);
    expect(target.toString("latin1")).toBe(traceparentText(span));
    expect(String(parseTraceparent(target, 0, TRACEPARENT_BYTES))).toBe(traceparentText(span));
  });

  it("have signed 32-bit integers as ids, which V8 does not box", () => {
    for (let i = 0; i < 1000; i++) {
      const span = noSpan();
      startSpan(span, null);
      for (const id of [span.traceA, span.traceB, span.traceC, span.traceD, span.spanA, span.spanB])
        expect(id).toBe(id | 0);
    }
    const context = parseBytes(`00-${"f".repeat(32)}-${"f".repeat(16)}-01`) as TraceContext;
    expect([context.traceA, context.traceD, context.spanB]).toEqual([-1, -1, -1]);
  });

  it("get ids that don't repeat and use all bits", () => {
    const seen = new Set<string>();
    const ones = new Array<number>(128).fill(0);
    const count = 20_000;
    for (let i = 0; i < count; i++) {
      const span = noSpan();
      startSpan(span, null);
      seen.add(traceIdHex(span)).add(spanIdHex(span));
      [span.traceA, span.traceB, span.traceC, span.traceD].forEach((word, at) => {
        for (let bit = 0; bit < 32; bit++) ones[at * 32 + bit] += (word >>> bit) & 1;
      });
    }
    expect(seen.size).toBe(2 * count);
    // Seven standard deviations around the half.
    for (const each of ones) expect(Math.abs(each - count / 2)).toBeLessThan(7 * Math.sqrt(count / 4));
  });

  it("don't hand on flags whose meaning is not known", () => {
    const parent = parseBytes(`00-${TRACE}-${SPAN}-ff`) as TraceContext;
    expect(parent.traceFlags).toBe(255);
    expect(written(parent)).toBe(`00-${TRACE}-${SPAN}-03`);
    expect(parent.toString()).toBe(written(parent));
  });
});
