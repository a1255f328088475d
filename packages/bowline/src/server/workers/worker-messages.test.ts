import { describe, expect, it } from "vitest";
import { ListenError } from "../../net/listen-error.ts";
import { errorReport, reportedError } from "./worker-messages.ts";

/** An error as it arrives in another process. */
function cross(thrown: unknown): Error {
  return reportedError(JSON.parse(JSON.stringify(errorReport(thrown))));
}

describe("an error of another process", () => {
  it("says what it said there: name, words, place, and fields", () => {
    const error = new ListenError("in-use", "127.0.0.1:80", "taken");
    expect(cross(error)).toMatchObject({ name: "ListenError", message: error.message, stack: error.stack });
    expect(cross(error)).toMatchObject({ kind: "in-use", address: "127.0.0.1:80" });
    const { message, name } = cross("just words");
    expect([name, message]).toEqual(["Error", "just words"]);
  });

  it("has its causes, and all that it sums up", () => {
    const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED", port: 5432 });
    const error = new Error("no database", { cause: new AggregateError([refused, "and more"], "no address answers") });
    expect(cross(error).cause).toMatchObject({
      name: "AggregateError",
      message: "no address answers",
      errors: [{ code: "ECONNREFUSED", port: 5432 }, { message: "and more" }],
    });
  });

  it("has an end, though it may be its own cause", () => {
    const error = new Error("round");
    error.cause = error;
    let count = 0;
    for (let each: unknown = cross(error); each instanceof Error; each = each.cause) count++;
    expect(count).toBe(9);
  });
});
