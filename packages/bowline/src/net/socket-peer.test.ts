import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { certPath } from "../../test/certs.ts";
import { parseSubjectAltNames } from "./socket-peer.ts";

describe("parseSubjectAltNames", () => {
  it("splits plain names", () => {
    const text = "DNS:user.internal, URI:spiffe://shop/user, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1";
    expect(parseSubjectAltNames(text)).toEqual(text.split(", "));
    expect(parseSubjectAltNames("")).toEqual([]);
  });

  it("does not fall for a certificate's name that looks like two", () => {
    const { subjectAltName } = new X509Certificate(readFileSync(certPath("client-odd.crt")));
    expect(parseSubjectAltNames(subjectAltName ?? "")).toEqual([
      "URI:spiffe://shop/odd, DNS:admin.internal",
      "DNS:odd.internal",
    ]);
  });

  it("keeps commas and quotes inside other kinds of names together", () => {
    expect(parseSubjectAltNames('DirName:"CN = a, DNS:b", DNS:c')).toEqual(["DirName:CN = a, DNS:b", "DNS:c"]);
    expect(parseSubjectAltNames('othername:UPN:"x, DNS:y", DNS:c')).toEqual(['othername:UPN:"x, DNS:y"', "DNS:c"]);
  });

  it("leaves out what it can't read and all behind it", () => {
    expect(parseSubjectAltNames('DNS:a, DNS:"b, DNS:c')).toEqual(["DNS:a"]);
    expect(parseSubjectAltNames('DNS:"\\x", DNS:c')).toEqual(["DNS:c"]);
    expect(parseSubjectAltNames("nonsense, DNS:c")).toEqual(["DNS:c"]);
  });

  it("gives back every list of names that Node may have written", () => {
    const name = fc
      .string({ minLength: 1 })
      .map((value) => ({ value, text: /^[\w.:/-]+$/.test(value) ? value : JSON.stringify(value) }));
    fc.assert(
      fc.property(fc.array(name), (names) => {
        const text = names.map((each) => `URI:${each.text}`).join(", ");
        expect(parseSubjectAltNames(text)).toEqual(names.map((each) => `URI:${each.value}`));
      }),
    );
  });

  it("takes long hostile texts in linear time", () => {
    expect(parseSubjectAltNames(`DNS:${"a,".repeat(100_000)}"`)).toEqual([]);
    expect(parseSubjectAltNames(`DNS:${'"'.repeat(100_001)}`)).toEqual([]);
  });
});
