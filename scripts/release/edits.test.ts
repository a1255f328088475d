import { describe, expect, it } from "vitest";
import {
  compareVersions,
  releasedChangelog,
  releaseNotes,
  versionedLockFile,
  versionedManifest,
  versionedSource,
} from "./edits.ts";

const own = new Set(["bowline", "bowline-cli"]);

describe("compareVersions", () => {
  it("orders as Semantic Versioning does, pre-releases before their release", () => {
    const ordered = [
      "0.1.0",
      "0.2.0-alpha",
      "0.2.0-alpha.1",
      "0.2.0-alpha.beta",
      "0.2.0-rc.2",
      "0.2.0-rc.11",
      "0.2.0",
      "0.10.0",
    ];
    expect(ordered.toReversed().toSorted(compareVersions)).toEqual(ordered);
    expect(compareVersions("1.0.0", "1.0.0")).toBe(0);
  });

  it("refuses what is no version", () => {
    for (const text of ["1.0", "v1.0.0", "01.0.0", ""])
      expect(() => compareVersions(text, "1.0.0")).toThrow("is no version");
  });
});

describe("releasedChangelog", () => {
  const head = "# Changelog\n\n## [Unreleased]\n";

  it("puts what is unreleased under the version, and leaves an empty section for the next", () => {
    const text = `${head}\n### Added\n\n- One thing.\n\n## [0.1.0] - 2026-01-01\n\n- First.\n`;
    const released = releasedChangelog(text, "0.2.0", "2026-02-03");
    expect(released).toBe(
      `${head}\n## [0.2.0] - 2026-02-03\n\n### Added\n\n- One thing.\n\n## [0.1.0] - 2026-01-01\n\n- First.\n`,
    );
    expect(releaseNotes(released, "0.2.0")).toBe("### Added\n\n- One thing.");
    expect(releaseNotes(released, "0.1.0")).toBe("- First.");
    expect(releaseNotes(released, "0.3.0")).toBe("");
  });

  it("refuses a release of nothing, of no section, and of a version that is there already", () => {
    expect(() => releasedChangelog(`${head}\n### Added\n\n## [0.1.0]\n\n- First.\n`, "0.2.0", "")).toThrow(
      "lists nothing",
    );
    expect(() => releasedChangelog("# Changelog\n", "0.2.0", "")).toThrow("no heading");
    expect(() => releasedChangelog(`${head}\n- A.\n\n## [0.2.0] - x\n`, "0.2.0", "")).toThrow("already");
  });
});

describe("versions in files", () => {
  it("go up in step, where packages of the repository name each other exactly", () => {
    const manifest = { name: "bowline-cli", version: "0.1.0", dependencies: { bowline: "0.1.0", commander: "0.1.0" } };
    expect(JSON.parse(versionedManifest(JSON.stringify(manifest), "0.2.0", own))).toEqual({
      name: "bowline-cli",
      version: "0.2.0",
      dependencies: { bowline: "0.2.0", commander: "0.1.0" },
    });
    const lock = {
      packages: { "packages/cli": manifest, "examples/shop": { version: "0.0.0", dependencies: { bowline: "*" } } },
    };
    expect(JSON.parse(versionedLockFile(JSON.stringify(lock), "0.2.0", own, ["packages/cli"])).packages).toMatchObject({
      "packages/cli": { version: "0.2.0", dependencies: { bowline: "0.2.0", commander: "0.1.0" } },
      "examples/shop": { version: "0.0.0", dependencies: { bowline: "*" } },
    });
  });

  it("change in version.ts, or say that it looks different", () => {
    expect(versionedSource('export const version: string = "0.1.0";\n', "0.2.0-rc.1")).toBe(
      'export const version: string = "0.2.0-rc.1";\n',
    );
    expect(() => versionedSource("export const other = 1;\n", "0.2.0")).toThrow("version.ts");
  });
});
