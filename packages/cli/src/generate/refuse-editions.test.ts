import { create, toBinary } from "@bufbuild/protobuf";
import { Edition, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { DiagnosticError } from "./compile/diagnostic.ts";
import { loadPluginRuntime } from "./emit/plugin-runtime.ts";
import { refuseUnknownEditions } from "./refuse-editions.ts";

const runtime = loadPluginRuntime();
const text = '// Far away.\nedition = "99999";\n';
const imports = new Map([["x.proto", { shown: "proto/x.proto", text }]]);

/** What is thrown for a file of this edition whose edition statement is on line 2. */
function thrown(edition: Edition): unknown {
  const sourceCodeInfo = { location: [{ path: [14], span: [1, 0, 18] }] };
  const file = [{ name: "x.proto", syntax: "editions", edition, sourceCodeInfo }];
  const descriptorSet = toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file }));
  try {
    refuseUnknownEditions({ descriptorSet, targets: new Map(), imports }, runtime);
    return undefined;
  } catch (error) {
    return error;
  }
}

describe("refuseUnknownEditions", () => {
  it("shows where the edition stands, in a file that is only imported as well, and the newest that is known", () => {
    const error = thrown(Edition.EDITION_99999_TEST_ONLY);
    if (!(error instanceof DiagnosticError)) throw new Error(`not refused: ${error}`);
    expect(error.diagnostics).toMatchObject([{ file: "proto/x.proto", line: 2, column: 1, endColumn: 19 }]);
    expect(error.message).toMatch(/edition 99999_TEST_ONLY, the newest that is known is \d{4}$/);
    expect(error.sources.get("proto/x.proto")).toBe(text);
  });

  it("lets pass what is known, and files without an edition", () => {
    expect(thrown(Edition.EDITION_2023)).toBeUndefined();
    expect(thrown(Edition.EDITION_2024)).toBeUndefined();
    const old = create(FileDescriptorSetSchema, { file: [{ name: "x.proto" }, { name: "y.proto", syntax: "proto3" }] });
    const request = { descriptorSet: toBinary(FileDescriptorSetSchema, old), targets: new Map() };
    expect(() => refuseUnknownEditions(request, runtime)).not.toThrow();
  });
});
