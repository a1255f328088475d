import { describe, expect, it } from "vitest";
import { figure, markdownTable, table } from "./table.ts";

describe("table", () => {
  it("aligns words left and figures right", () => {
    const columns = [
      { title: "peer", align: "left" },
      { title: "calls/s", align: "right" },
    ] as const;
    const rows = [
      ["bowline", "1"],
      ["grpc-js", "12,345,678"],
    ];
    expect(table(columns, rows)).toBe("peer        calls/s\nbowline           1\ngrpc-js  12,345,678");
  });
});

describe("markdownTable", () => {
  it("has a rule that aligns as the columns do", () => {
    const columns = [
      { title: "peer", align: "left" },
      { title: "calls/s", align: "right" },
    ] as const;
    expect(markdownTable(columns, [["a|b", "1"]])).toBe("| peer | calls/s |\n| --- | ---: |\n| a\\|b | 1 |");
  });
});

describe("figure", () => {
  it("keeps three digits below a thousand and separates thousands above", () => {
    expect([0, 0.071_34, 4.5612, 123.4, 451_204.2].map(figure)).toEqual(["0", "0.0713", "4.56", "123", "451,204"]);
  });

  it("shows a dash where there is no figure", () => {
    expect(figure(Number.NaN)).toBe("–");
  });
});
