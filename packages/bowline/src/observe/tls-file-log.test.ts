import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { certPath } from "../../test/certs.ts";
import { useScene } from "../../test/client/client-scene.ts";
import { RecordingLogger } from "../../test/server/server-scene.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";

const scene = useScene();

/** Files that a test may change, with the clock and the logger of whoever reads them. */
function renewable() {
  const directory = mkdtempSync(join(tmpdir(), "bowline-"));
  scene.onClose(() => rmSync(directory, { recursive: true, force: true }));
  const tls = { certificate: join(directory, "tls.crt"), key: join(directory, "tls.key") };
  const put = (name: string): void => {
    copyFileSync(certPath(`${name}.key`), tls.key);
    copyFileSync(certPath(`${name}.crt`), tls.certificate);
  };
  put("server");
  const clock = new VirtualClock();
  const logger = new RecordingLogger();
  /** One look at the files after the other, until there are so many lines. */
  const said = async (count: number): Promise<void> => {
    for (let looks = 0; looks < 1000 && logger.lines.length < count; looks++) await clock.advance(5000);
  };
  return { tls, put, clock, logger, said };
}

const server = async (tls: object, options: object): Promise<void> => {
  await scene.server({}, { tls, ...options });
};

const client = (tls: object, options: object): void => {
  scene.client("localhost:1", { tls, ...options });
};

describe.each([
  { who: "a server", make: server, option: "createServer", fields: {} },
  { who: "a client", make: client, option: "createClient", fields: { target: "dns:///localhost:1" } },
])("$who whose TLS files change", ({ make, option, fields }) => {
  it("says which file can't be used, once, and what the certificate is as soon as they fit again", async () => {
    const { tls, put, clock, logger, said } = renewable();
    await make(tls, { clock, logger });
    copyFileSync(certPath("client.crt"), tls.certificate);
    await said(1);
    await clock.advance(60_000);
    expect(logger.lines).toEqual([
      {
        level: "error",
        text:
          `${option} options.tls.key (${tls.key}): does not belong to the certificate of ${option} options.tls.certificate ` +
          `(${tls.certificate}); give both files of one pair; the certificates from before stay in use`,
        fields,
      },
    ]);
    put("server-next");
    await said(2);
    expect(logger.lines[1]).toEqual({
      level: "info",
      text: "the TLS files have changed: connections that are made from now on use the new ones",
      fields: {
        ...fields,
        certificate: {
          subject: expect.stringContaining("CN="),
          serialNumber: "1002",
          validUntil: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
        },
      },
    });
  });
});

describe("a client without a certificate of its own", () => {
  it("says that its authorities have changed", async () => {
    const { tls, clock, logger, said } = renewable();
    const authorities = tls.certificate;
    copyFileSync(certPath("authority.crt"), authorities);
    client({ authorities }, { clock, logger });
    copyFileSync(certPath("other-authority.crt"), authorities);
    await said(1);
    expect(logger.lines).toMatchObject([{ level: "info", fields: { target: "dns:///localhost:1" } }]);
    expect(logger.lines[0].fields).not.toHaveProperty("certificate");
  });
});
