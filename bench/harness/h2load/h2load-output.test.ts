import { describe, expect, it } from "vitest";
import { readH2loadOutput } from "./h2load-output.ts";

function output(requests: string, codes: string): string {
  return `Stopped all clients for thread #0

finished in 1.02s, 66800.00 req/s, 3.63MB/s
requests: 66800 total, 66900 started, ${requests}
status codes: ${codes}
traffic: 3.63MB (3808487) total, 652.44KB (668096) headers (space savings 93.51%), 1.85MB (1937200) data
                     min         max         mean         sd        +/- sd
time for request:      367us    110.98ms      1.42ms      5.33ms    97.94%
`;
}

describe("readH2loadOutput", () => {
  it("reads rate and number of requests; the time is the one that the rate was counted over", () => {
    const text = output(
      "66800 done, 66800 succeeded, 0 failed, 0 errored, 0 timeout",
      "66900 2xx, 0 3xx, 0 4xx, 0 5xx",
    );
    expect(readH2loadOutput(text)).toMatchObject({ calls: 66_800, errors: 0, seconds: 1 });
    expect(readH2loadOutput(text).firstError).toBeUndefined();
  });

  it("counts other status codes and broken requests as errors and shows both lines", () => {
    const text = output(
      "66800 done, 66700 succeeded, 100 failed, 60 errored, 0 timeout",
      "66700 2xx, 0 3xx, 40 4xx, 0 5xx",
    );
    const result = readH2loadOutput(text);
    expect(result).toMatchObject({ calls: 66_700, errors: 100 });
    expect(result.firstError).toContain("60 errored");
    expect(result.firstError).toContain("40 4xx");
  });

  it("shows the end of what has no summary", () => {
    expect(() => readH2loadOutput("client could not connect to host")).toThrow("client could not connect to host");
  });
});
