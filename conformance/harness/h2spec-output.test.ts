import { describe, expect, it } from "vitest";
import { readH2specOutput } from "./h2spec-output.ts";

const OUTPUT = `Generic tests for HTTP/2 server
  1. Starting HTTP/2
    \r    ✔ 1: Sends a client connection preface

  3. Frame Definitions
    3.1. DATA
\r      ✔ 1: Sends a DATA frame
      \r      × 2: Sends multiple DATA frames
        -> The endpoint MUST accept it.
           Expected: DATA Frame (length:1)
                     Connection closed
             Actual: Timeout

Hypertext Transfer Protocol Version 2 (HTTP/2)
  6. Frame Definitions
    6.9. WINDOW_UPDATE
      6.9.1. The Flow-Control Window
        1: Sends SETTINGS frame to set the initial window size to 1 and sends HEADERS frame

Failures:

      × 2: Sends multiple DATA frames

Finished in 1.2 seconds
`;

describe("readH2specOutput", () => {
  it("finds each case once, by spec, section and number, with what was wanted of a failure", () => {
    expect(readH2specOutput(OUTPUT)).toEqual([
      { id: "generic/1/1", outcome: "passed", detail: "Sends a client connection preface" },
      { id: "generic/3.1/1", outcome: "passed", detail: "Sends a DATA frame" },
      {
        id: "generic/3.1/2",
        outcome: "failed",
        detail:
          "Sends multiple DATA frames\n-> The endpoint MUST accept it.\nExpected: DATA Frame (length:1)\nConnection closed\nActual: Timeout",
      },
      {
        id: "http2/6.9.1/1",
        outcome: "skipped",
        detail: "Sends SETTINGS frame to set the initial window size to 1 and sends HEADERS frame",
      },
    ]);
  });
});
