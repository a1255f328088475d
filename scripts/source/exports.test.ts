import { describe, expect, it } from "vitest";
import { exportedNames } from "./exports.ts";

/** Names in order; those without a doc comment with a star. */
function seen(source: string): string[] {
  return exportedNames(source).map(({ name, hasDoc }) => (hasDoc ? name : `${name}*`));
}

describe("exportedNames", () => {
  it("finds every kind of declaration", () => {
    const source = `
      /** Doc. */
      export function a(): void {}
      /** Doc. */
      export async function* b() {}
      export abstract class C { type = 1; const() {} }
      // Not a doc comment.
      export interface D { function: 1 }
      /** Doc. */ export type E = { type: "x" };
      export const f = 1 as const;
      /** Doc. */

      export declare const g: number;
    `;
    expect(seen(source)).toEqual(["a", "b", "C*", "D*", "E", "f*", "g"]);
  });

  it("looks up what a list exports, and leaves re-exports out", () => {
    const source = `
      /** Doc. */
      const a = 1;
      const b = 2;
      type C = 3;
      const hidden = 4;
      export { a, b as d };
      export type { C };
      export { e } from "./e.ts";
      export * from "./f.ts";
    `;
    expect(seen(source)).toEqual(["a", "b*", "C*"]);
  });

  it("takes one documented overload for all, and does not look into functions", () => {
    const source = `
      /** Doc. */
      export function a(x: string): void;
      export function a(x: number): void;
      export function a(x: unknown): void { const inner = 1; class Inner {} }
      import type { type } from "x"; import { type Y } from "y";
    `;
    expect(seen(source)).toEqual(["a"]);
  });

  it("keeps a name declared as value and type together", () => {
    expect(seen("/** Doc. */\nexport const Code = {} as const;\n/** Doc. */\nexport type Code = 1;")).toEqual(["Code"]);
  });
});
