import { expect, it } from "vitest";
import { withFigures } from "./page.ts";

const PAGE =
  "a\n<!-- figures of unary -->\nold\n<!-- end of figures -->\nb\n<!-- figures of tls -->\nold\n<!-- end of figures -->\nc";

it("replaces the figures of one question and leaves the rest", () => {
  expect(withFigures(PAGE, "tls", "new")).toBe(
    "a\n<!-- figures of unary -->\nold\n<!-- end of figures -->\nb\n<!-- figures of tls -->\n\nnew\n\n<!-- end of figures -->\nc",
  );
});

it("says which marks a page lacks", () => {
  expect(() => withFigures("a page", "tls", "new")).toThrow(
    "write <!-- figures of tls --> and <!-- end of figures -->",
  );
});
