import { expect, it } from "vitest";
import { ratioMatrices, rowMatrix } from "./matrix.ts";
import type { Row } from "./report.ts";

const row = (peer: string, load: string, messagesPerSecond: number): Row => ({
  peer,
  load,
  messagesPerSecond,
  spread: 0,
  errors: 0,
  rounds: 1,
});

it("has a line for each load and a column for each peer, with a dash where nothing was measured", () => {
  const { columns, cells } = rowMatrix(
    [row("ours", "encode", 5000), row("ours", "decode", 70), row("theirs", "decode", 7)],
    "messagesPerSecond",
    "messages/s",
  );
  expect(columns.map(({ title }) => title)).toEqual(["messages/s", "ours", "theirs"]);
  expect(cells).toEqual([
    ["encode", "5,000", "–"],
    ["decode", "70", "7"],
  ]);
});

it("has a table for each of ours that is compared", () => {
  const ratio = (messagesPerSecond: number) => ({ encode: { messagesPerSecond } });
  const matrices = ratioMatrices({ a: ratio(2), b: ratio(3), "part : a": ratio(4) }, "messagesPerSecond");
  expect(matrices.map(({ columns }) => columns.map(({ title }) => title))).toEqual([
    ["bowline :", "a", "b"],
    ["part :", "a"],
  ]);
  expect(matrices.map(({ cells }) => cells)).toEqual([[["encode", "2", "3"]], [["encode", "4"]]]);
});
