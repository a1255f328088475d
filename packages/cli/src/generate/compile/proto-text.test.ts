import { describe, expect, it } from "vitest";
import { readProtoHead } from "./proto-text.ts";

describe("readProtoHead", () => {
  it("finds the package and the imports in their order", () => {
    const text = `syntax = "proto3";package user.v1;
      import "a.proto"; import public 'b/c.proto';
      import weak "d.proto";
      import option "e.proto";`;
    expect(readProtoHead(text)).toEqual({
      package: "user.v1",
      imports: ["a.proto", "b/c.proto", "d.proto", "e.proto"],
    });
  });

  it("passes over comments, and over what looks like one in a string", () => {
    const text = `// import "no.proto";
      /* import "no.proto"; package no;
       */
      option a = "//"; import "yes.proto"; option b = "/*"; package yes; option c = "*/";`;
    expect(readProtoHead(text)).toEqual({ package: "yes", imports: ["yes.proto"] });
  });

  it("has an empty package when there is none", () => {
    expect(readProtoHead("message package_ {}")).toEqual({ package: "", imports: [] });
  });
});
