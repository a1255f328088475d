import { describe, expect, it } from "vitest";
import { readConnectOutput } from "./connect-output.ts";

const OUTPUT = `Computed 3 test case permutation(s) across 1 server configuration(s).
Running 3 tests with reference server for server config {HTTP_VERSION_2, PROTOCOL_GRPC, TLS:false}...
Sending request for "Basic/TLS:false/unary/success"...
Sending request for "Timeouts/TLS:false/(grpc server impl)/unary"...
Received response for "Basic/TLS:false/unary/success"...
Received response for "Timeouts/TLS:false/(grpc server impl)/unary"...
{"level":"warn","message":"a line of the program under test"}
FAILED: Timeouts/TLS:false/(grpc server impl)/unary:
	actual error {code: 1 (canceled)} does not match expected code 4
	and something else

Total cases: 2
1 passed, 1 failed
`;

describe("readConnectOutput", () => {
  it("finds each case once, with the reason of a failure", () => {
    expect(readConnectOutput(OUTPUT)).toEqual([
      { id: "Basic/TLS:false/unary/success", outcome: "passed" },
      {
        id: "Timeouts/TLS:false/(grpc server impl)/unary",
        outcome: "failed",
        detail: "actual error {code: 1 (canceled)} does not match expected code 4\nand something else",
      },
    ]);
  });

  it("takes a case without an answer for a failure", () => {
    const output = `Sending request for "a"...\n\nTotal cases: 0\n0 passed, 1 failed\n`;
    expect(readConnectOutput(output)).toEqual([{ id: "a", outcome: "failed", detail: "no answer" }]);
  });

  it.each([
    [`Sending request for "a"...\nReceived response for "a"...\n`, "the runner stopped before its sums"],
    [
      `Sending request for "a"...\nReceived response for "a"...\n2 passed, 0 failed\n`,
      "the runner says 2 passed, 0 failed, which is not what its lines say",
    ],
  ])("adds a failure when sums are missing or don't fit: %j", (output, detail) => {
    expect(readConnectOutput(output).at(-1)).toEqual({ id: "the sums", outcome: "failed", detail });
  });
});
