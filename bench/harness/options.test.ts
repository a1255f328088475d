import { describe, expect, it } from "vitest";
import { readOptions } from "./options.ts";

describe("readOptions", () => {
  it("measures five rounds of two seconds after four of warm-up unless told otherwise", () => {
    expect(readOptions(["unary"])).toMatchObject({
      question: "unary",
      rounds: 5,
      seconds: 2,
      warmupSeconds: 4,
      json: false,
      messages: "",
    });
  });

  it("reads lists and figures", () => {
    const options = readOptions([
      "unary",
      "--concurrency",
      "1,100",
      "--peers",
      "bowline,grpc-js",
      "--rounds",
      "3",
      "--loads",
      "open half,100 connections",
      "--open-loop",
      "5000",
      "--json",
    ]);
    expect(options).toMatchObject({
      concurrencies: [1, 100],
      peers: ["bowline", "grpc-js"],
      loads: ["open half", "100 connections"],
      openLoop: 5000,
      rounds: 3,
      json: true,
    });
  });

  it("names the option and the value that make no sense", () => {
    expect(() => readOptions(["unary", "--rounds", "0"])).toThrow("--rounds 0: give a number of at least 1");
    expect(() => readOptions(["unary", "--seconds", "soon"])).toThrow("--seconds soon");
    expect(() => readOptions(["unary", "latency"])).toThrow("one question at a time");
  });
});
