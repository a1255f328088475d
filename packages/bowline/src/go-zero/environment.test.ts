import { describe, expect, it } from "vitest";
import { expandVariables } from "./environment.ts";

/** With A=x and B1=y, as Go 1.26 prints os.ExpandEnv of the text. */
// biome-ignore-start lint/suspicious/noTemplateCurlyInString: that is what it is about
const PRINTED_BY_GO: readonly [string, string][] = [
  ["", ""],
  ["$", "$"],
  ["$$", ""],
  ["$$$", "$"],
  ["pa$$word", "paword"],
  ["abc$5def", "abcdef"],
  ["a$*b", "ab"],
  ["a$#b", "ab"],
  ["a$@b", "ab"],
  ["a$!b", "ab"],
  ["a$?b", "ab"],
  ["a$-b", "ab"],
  ["a$-$A", "ax"],
  ["${A", "A"],
  ["${", ""],
  ["${}", ""],
  ["a${}b", "ab"],
  ["$ ", "$ "],
  ["end$", "end$"],
  ["$A", "x"],
  ["$A-$B1", "x-y"],
  ["${A}${B1}", "xy"],
  ["${A-b}", ""],
  ["${$}", ""],
  ["${5}", ""],
  ["${*}", ""],
  ["${#}b", "b"],
  ["${*", "*"],
  ["$A$", "x$"],
  ["$.A", "$.A"],
  ["$é", "$é"],
  ["é$Aé", "éxé"],
  ["${é}", ""],
  ["$1A", "A"],
  ["$$A", "A"],
  ["${A}${", "x"],
  ["${A\nb}", ""],
  ["x$A\ny${B1}\n", "xx\nyy\n"],
  ["${}}", "}"],
  ["${{A}}", "}"],
  ["$_A", ""],
  ["$A_", ""],
  ["p@$$w0rd!$#1", "p@w0rd!1"],
  ["${$A}", ""],
];

describe("variables in a text", () => {
  it.each(PRINTED_BY_GO)("are put in as Go does: %j becomes %j", (text, expanded) => {
    expect(expandVariables(text, { A: "x", B1: "y" }, () => {})).toBe(expanded);
  });

  it("that are not set are told, a dollar in a password too", () => {
    const missing: string[] = [];
    expandVariables("pa$$word $A $NONE ${} ${NONE TOO}", { A: "" }, (name) => missing.push(name));
    expect(missing).toEqual(["$", "NONE", "NONE TOO"]);
  });

  it("are put in once: what they hold stays as it is", () => {
    expect(expandVariables("$A", { A: "$B", B: "b" }, () => {})).toBe("$B");
  });
});
// biome-ignore-end lint/suspicious/noTemplateCurlyInString: that is what it is about
