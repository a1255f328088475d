import { describe, expect, it } from "vitest";
import { objections, type ReleaseState } from "./preconditions.ts";

const ready: ReleaseState = {
  branch: "main",
  changes: [],
  tags: ["v0.1.0"],
  versions: new Map([
    ["bowline", "0.1.0"],
    ["version.ts", "0.1.0"],
  ]),
  checksPassed: true,
};

describe("objections", () => {
  it("has none against the next version of a clean main", () => {
    expect(objections("0.2.0", ready)).toEqual([]);
    expect(objections("0.2.0-rc.1", ready)).toEqual([]);
  });

  it("lets the first release have the version that the packages have", () => {
    expect(objections("0.1.0", { ...ready, tags: [] })).toEqual([]);
    expect(objections("0.0.9", { ...ready, tags: [] })).toEqual(["0.0.9 does not come after 0.1.0"]);
  });

  it("names what stands against a release, all of it at once", () => {
    const state = { ...ready, branch: "other", changes: [" M README.md"], checksPassed: false };
    expect(objections("0.2.0", state).join("\n")).toMatch(
      /branch is other.*\n.*not clean.*\n {4} M README\.md\n.*CI passes/,
    );
    expect(objections("0.1.0", ready)).toEqual([
      "the tag v0.1.0 exists: take the next version",
      "0.1.0 does not come after 0.1.0",
    ]);
    const apart = new Map([...ready.versions, ["bowline-cli", "0.1.1"]]);
    expect(objections("0.2.0", { ...ready, versions: apart })[0]).toContain(
      "bowline 0.1.0, version.ts 0.1.0, bowline-cli 0.1.1",
    );
  });

  it("refuses to go back behind a tag", () => {
    expect(objections("0.2.0", { ...ready, tags: ["v0.1.0", "v0.3.0"] })).toEqual(["0.2.0 does not come after 0.3.0"]);
  });
});
