import { describe, expect, it } from "vitest";
import { readProtobufOutput } from "./protobuf-output.ts";

const BEGIN = `I0000 00:00:1.1 1 fork_pipe_runner.cc:177] /usr/bin/node
CONFORMANCE TEST BEGIN ====================================

`;

const GOOD = `${BEGIN}
CONFORMANCE SUITE PASSED: 2 successes, 0 skipped, 1 expected failures, 0 unexpected failures.

${BEGIN}
CONFORMANCE SUITE PASSED: 0 successes, 1 skipped, 0 expected failures, 0 unexpected failures.

`;

const BAD = `${BEGIN}ERROR: test Required.A.INT32[0].Out (matched to Required.A.INT32[0].Out) is in the failure list, but test succeeded.  Remove its match from the failure list.
ERROR, test=Required.B.Out: Should have failed to parse: didn't., request=goo.gle/debug json_payload: "{}", response=goo.gle/debug json_payload: "{}"

These test names were listed in the failure list, but they didn't match any actual test name.  Remove them from the failure list by running from the root of your workspace:
  bazel run //google/protobuf/conformance:update_failure_list -- list.txt --remove unmatched.txt

  Required.NoSuch # 


These tests failed.  If they can't be fixed right now, you can add them to the failure list so the overall suite can succeed.
  bazel run //google/protobuf/conformance:update_failure_list -- list.txt --add failing_tests.txt

  Required.B.Out # Should have failed to parse: didn't.

CONFORMANCE SUITE FAILED: 3 successes, 0 skipped, 1 expected failures, 1 unexpected failures.

`;

describe("readProtobufOutput", () => {
  it("counts what the runner does not name, over both parts, and takes what is listed for failed", () => {
    expect(readProtobufOutput(GOOD, new Set(["Recommended.C"]), "no text")).toEqual([
      { id: "passed 1", outcome: "passed" },
      { id: "passed 2", outcome: "passed" },
      { id: "skipped 1", outcome: "skipped", detail: "no text" },
      { id: "Recommended.C", outcome: "failed", detail: "as listed" },
    ]);
  });

  it("names what failed and what is wrongly listed", () => {
    const listed = new Set(["Required.A.INT32[0].Out", "Required.NoSuch", "Recommended.C"]);
    expect(readProtobufOutput(BAD, listed, "no text")).toEqual([
      { id: "passed 1", outcome: "passed" },
      { id: "passed 2", outcome: "passed" },
      { id: "Required.A.INT32[0].Out", outcome: "passed" },
      { id: "Recommended.C", outcome: "failed", detail: "as listed" },
      { id: "Required.B.Out", outcome: "failed", detail: "Should have failed to parse: didn't." },
    ]);
  });

  it.each([
    [BEGIN, "the runner stopped before its sums"],
    [
      BAD.replace("1 unexpected failures", "2 unexpected failures"),
      "the runner says 2 failed, which is not what its lines say",
    ],
  ])("adds a failure when sums are missing or don't fit", (output, detail) => {
    expect(readProtobufOutput(output, new Set(), "").at(-1)).toEqual({ id: "the sums", outcome: "failed", detail });
  });
});
