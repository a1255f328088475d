import { describe, expect, it } from "vitest";
import { optionDocs } from "./option-docs.ts";

const SOURCE = `
export interface Other {
  /** Not this one. */
  readonly size?: number;
}

export interface Options {
  /** Largest message, in bytes. Default 4 MiB. */
  readonly maxBytes?: number;
  /**
   * Silence after which something is sent,
   * in ms. Default: never.
   */
  readonly timeMs?: number;
  readonly undocumented?: object;
  /** Runs before. */
  ready?: () => Promise<void> | void;
}
`;

describe("the docs of options", () => {
  it("are the members of one interface, with what they say of the default apart", () => {
    expect(optionDocs(SOURCE, "Options")).toEqual([
      { name: "maxBytes", type: "number", meaning: "Largest message, in bytes.", defaultValue: "4 MiB" },
      {
        name: "timeMs",
        type: "number",
        meaning: "Silence after which something is sent, in ms.",
        defaultValue: "never",
      },
      { name: "ready", type: "() => Promise<void> | void", meaning: "Runs before.", defaultValue: "" },
    ]);
  });

  it("complain about an interface that is not there", () => {
    expect(() => optionDocs(SOURCE, "Missing")).toThrow('there is no "export interface Missing"');
  });
});
