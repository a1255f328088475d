import { describe, expect, it } from "vitest";
import { CodeNames, methodName } from "./code-names.ts";
import { docComment } from "./doc-comment.ts";
import { type ImportExtension, SourceText } from "./source-text.ts";

describe("SourceText", () => {
  const text = (extension: ImportExtension): string => {
    const source = new SourceText("a/b/file_rpc.ts", extension);
    source.names.take("User");
    source.reserve("runtime", ["Codec", "unused"]);
    source.value({ name: "schema", from: "./a/b/file_pb.js" });
    source.type({ name: "User", from: "./a/b/file_pb.js" });
    source.type({ name: "Other", from: "./c_pb.js" });
    source.type({ name: "Codec", from: "runtime" });
    source.print("code();");
    return source.finish("// Head.");
  };

  it("imports what was used, packages first, names that are taken under another", () => {
    expect(text("ts")).toBe(
      `// Head.

import type { Codec } from "runtime";
import type { Other } from "../../c_pb.ts";
import { schema, type User as User$ } from "./file_pb.ts";

code();
`,
    );
  });

  it("gives files the extension that the compiler wants", () => {
    expect(text("js")).toContain('from "./file_pb.js"');
    expect(text("none")).toContain('from "./file_pb"');
  });

  it("breaks long lists of imports", () => {
    const source = new SourceText("x.ts", "js");
    for (let i = 0; i < 12; i++) source.type({ name: `NumberedName${i + 10}`, from: "package" });
    const text = source.finish("// Head.");
    expect(text).toContain("import type {\n  NumberedName10,\n  NumberedName11,\n");
    expect(text).toContain('  NumberedName21,\n} from "package";\n');
  });
});

describe("CodeNames", () => {
  it("hands out each name once and none that JavaScript has", () => {
    const names = new CodeNames();
    expect(["User", "User", "User", "Promise", "delete", "string"].map((name) => names.take(name))).toEqual([
      "User",
      "User$",
      "User$1",
      "Promise$",
      "delete$",
      "string$",
    ]);
  });
});

describe("methodName", () => {
  it("begins small and keeps away from what objects and promises have", () => {
    const names = [
      "GetUser",
      "get_user",
      "Then",
      "constructor",
      "ToJSON",
      "__proto__",
      "IsPrototypeOf",
      "Delete",
      "New",
    ];
    expect(names.map(methodName)).toEqual([
      "getUser",
      "get_user",
      "then$",
      "constructor$",
      "toJSON$",
      "__proto__$",
      "isPrototypeOf$",
      "delete",
      "new",
    ]);
  });

  it("covers every name that an object inherits", () => {
    for (const name of Object.getOwnPropertyNames(Object.prototype)) expect(methodName(name)).toBe(`${name}$`);
  });
});

describe("docComment", () => {
  const plain = { text: "", fallback: "Nothing was said.", isDeprecated: false };

  it("is one line when it fits", () => {
    expect(docComment(plain, "  ")).toEqual(["  /** Nothing was said. */"]);
    expect(docComment({ ...plain, text: " Said.\n" }, "")).toEqual(["/** Said. */"]);
    expect(docComment({ ...plain, text: "x".repeat(120) }, "")).toHaveLength(3);
  });

  it("keeps lines and their indentation, and can't be closed by what it says", () => {
    expect(docComment({ ...plain, text: " a */ b\r\n   - c\n\n d \n\n" }, "")).toEqual([
      "/**",
      " * a *\\/ b",
      " *   - c",
      " *",
      " * d",
      " */",
    ]);
  });

  it("says once that something is deprecated", () => {
    expect(docComment({ ...plain, isDeprecated: true }, "")).toEqual([
      "/**",
      " * Nothing was said.",
      " *",
      " * @deprecated",
      " */",
    ]);
    expect(docComment({ ...plain, text: "@deprecated Use b.", isDeprecated: true }, "")).toEqual([
      "/**",
      " * @deprecated Use b.",
      " */",
    ]);
  });
});
