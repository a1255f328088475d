import { describe, expect, it } from "vitest";
import { dialError } from "./dial-error.ts";

/** What is said of a certificate of another name. */
function textOf(certificate: unknown, serverName: string): string {
  const error = Object.assign(new Error("Hostname/IP does not match"), {
    code: "ERR_TLS_CERT_ALTNAME_INVALID",
    cert: certificate,
  });
  const address = "10.0.0.7:443";
  const { kind, message } = dialError(error, { address, isTls: true, isConnected: true, serverName });
  expect(kind).toBe("tls");
  return message;
}

describe("a certificate for another name", () => {
  it("is told with the names that it carries", () => {
    const certificate = { subject: { CN: "a.test" }, subjectaltname: "DNS:a.test, DNS:b.test" };
    expect(textOf(certificate, "c.test")).toMatch(
      /: its certificate is for DNS:a\.test, DNS:b\.test, not for "c\.test"; /,
    );
  });

  it.each<[unknown, string]>([
    [{ subject: { CN: "a.test" }, subjectaltname: undefined }, " (its common name is a.test)"],
    [{ subject: { CN: ["a.test", "b.test"] } }, " (its common name is a.test, b.test)"],
    [{ subject: {} }, ""],
    [undefined, ""],
  ])("says so when it carries no subject alternative name: %j", (certificate, common) => {
    expect(textOf(certificate, "localhost")).toBe(
      `cannot connect to 10.0.0.7:443: its certificate carries no subject alternative name${common}, so that it is not for "localhost"; ` +
        "issue one that carries it as such",
    );
  });
});
