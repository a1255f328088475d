import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { workspaceFolder } from "../../../test/workspace-folder.ts";
import { DiagnosticError } from "../compile/diagnostic.ts";
import { CONFIG_FILE, type OutputConfig } from "./gen-config.ts";
import { findConfig, readConfig } from "./read-config.ts";

async function read(text: string): Promise<readonly OutputConfig[]> {
  const cwd = await workspaceFolder({ [CONFIG_FILE]: text });
  return (await readConfig(cwd, join(cwd, CONFIG_FILE))).outputs;
}

/** Each fault as `line:column-end message` and its hint. */
async function faults(text: string): Promise<string[]> {
  const error = await read(text).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof DiagnosticError)) throw new Error(`no fault in ${text}: ${error}`);
  expect(error.sources.get(CONFIG_FILE)).toBe(text);
  return error.diagnostics.map((d) => `${d.line}:${d.column}-${d.endColumn} ${d.message}`);
}

describe("readConfig", () => {
  it("reads every key", async () => {
    const text = `# All of them.
inputs: [proto, api/x.proto]
descriptor_set: api.binpb
include: third_party
out: src/gen
import_extension: js
messages: false
messages_from: src/pb
compiler: protoc
clean: true
`;
    expect(await read(text)).toEqual([
      {
        inputs: ["proto", "api/x.proto"],
        descriptorSet: "api.binpb",
        include: ["third_party"],
        out: "src/gen",
        importExtension: "js",
        messages: false,
        messagesFrom: "src/pb",
        compiler: "protoc",
        clean: true,
      },
    ]);
  });

  it("gives every output what stands above the list, unless it says otherwise", async () => {
    const text = "clean: true\nout: gen\noutputs:\n  - inputs: a\n  - { inputs: b, out: lib, clean: false }\n";
    expect(await read(text)).toEqual([
      { clean: true, out: "gen", inputs: ["a"] },
      { clean: false, out: "lib", inputs: ["b"] },
    ]);
  });

  it("follows anchors, and takes an empty file for no wishes", async () => {
    expect(await read("include: &all [a, b]\noutputs: [{ inputs: *all }]")).toEqual([
      { include: ["a", "b"], inputs: ["a", "b"] },
    ]);
    expect(await read("")).toEqual([{}]);
    expect(await read("# nothing\n---\n")).toEqual([{}]);
  });

  it("names each key that it does not know, and each value of another kind, with its place", async () => {
    expect(await faults("out: gen\nimports: [a]\n")).toEqual(["2:1-8 there is no key `imports`"]);
    expect(await faults("outputs:\n  - outputs: []\n")).toEqual(["2:5-12 there is no key `outputs`"]);
    expect(await faults("__proto__: x\n")).toEqual(["1:1-10 there is no key `__proto__`"]);
    expect(await faults("clean: yes\nmessages: 1\n")).toEqual(['1:8-11 clean is "yes"', "2:11-12 messages is 1"]);
    expect(await faults("import_extension: mjs\n")).toEqual(['1:19-22 import_extension is "mjs"']);
    expect(await faults("inputs: [a, 3]\n")).toEqual(["1:13-14 inputs is 3"]);
    expect(await faults("include: {a: b}\n")).toEqual(["1:10-16 include is a mapping"]);
    expect(await faults("inputs: []\n")).toEqual(["1:9-11 inputs is an empty list"]);
    expect(await faults("out: [gen]\n")).toEqual(["1:6-11 out is a list"]);
    expect(await faults("out:\n")).toMatchObject([expect.stringMatching(/^1:\d-\d out is empty$/)]);
    expect(await faults("outputs: gen\n")).toEqual(["1:10-13 outputs is no list"]);
    expect(await faults("outputs: [gen]\n")).toEqual(["1:11-14 an item of outputs is no mapping"]);
    expect(await faults("- out\n")).toMatchObject([expect.stringContaining("the file is no mapping")]);
    expect(await faults("[a]: b\n")).toMatchObject([expect.stringContaining("there is no key")]);
  });

  it("counts columns in characters, also behind others than ASCII", async () => {
    expect(await faults('inputs: ["ä😀", 3]\n')).toEqual(["1:16-17 inputs is 3"]);
  });

  it("says where it is no YAML, or has a key twice", async () => {
    expect(await faults("out: [gen\n")).toMatchObject([expect.stringMatching(/^\d:\d/)]);
    expect(await faults("out: a\nout: b\n")).toMatchObject([expect.stringMatching(/^2:1.*unique/)]);
    expect(await faults("out: *nowhere\n")).toMatchObject([expect.stringMatching(/^1:6.*nowhere/), expect.anything()]);
  });
});

describe("findConfig", () => {
  it("looks in the folder itself, unless a file is named", async () => {
    const cwd = await workspaceFolder({ "sub/x": "" });
    expect(findConfig(cwd, undefined)).toBeUndefined();
    await writeFile(join(cwd, CONFIG_FILE), "");
    expect(findConfig(cwd, undefined)).toBe(join(cwd, CONFIG_FILE));
    expect(findConfig(join(cwd, "sub"), undefined)).toBeUndefined();
    expect(findConfig(cwd, "sub/other.yaml")).toBe(join(cwd, "sub/other.yaml"));
  });
});
