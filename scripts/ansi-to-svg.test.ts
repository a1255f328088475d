import { describe, expect, it } from "vitest";
import { runsOf, svgOf } from "./ansi-to-svg.ts";

describe("ansi-to-svg", () => {
  it("finds the characters of each tone, at their columns", () => {
    expect(runsOf(" a \x1b[1;32mready\x1b[0m  b")).toMatchObject([
      { column: 0, text: " a ", colour: "#d1d7e0", isBold: false },
      { column: 3, text: "ready", colour: "#3fb950", isBold: true },
      { column: 8, text: "  b", colour: "#d1d7e0", isBold: false },
    ]);
  });

  it("leaves out blanks, unless their ground is seen", () => {
    expect(runsOf("   \x1b[7m  \x1b[27m  ")).toMatchObject([{ column: 3, text: "  ", background: "#d1d7e0" }]);
  });

  it("draws the same screen the same way, and escapes what it shows", () => {
    const svg = svgOf("p99 < 5 & more\n", "a <demo>", 20);
    expect(svg).toBe(svgOf("p99 < 5 & more\n", "a <demo>", 20));
    expect(svg).toContain(">p99 &lt; 5 &amp; more</text>");
    expect(svg).toContain("<title>a &lt;demo&gt;</title>");
  });

  it("gives words far apart places of their own", () => {
    expect(svgOf("ready      12", "", 20).match(/<text x="[\d.]+" y="47"/g)).toHaveLength(2);
  });
});
