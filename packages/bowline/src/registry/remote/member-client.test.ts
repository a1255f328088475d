import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { certPath } from "../../../test/certs.ts";
import { useScene } from "../../../test/client/client-scene.ts";
import { socketNetwork } from "../../net/network.ts";
import { systemRandom } from "../../rpc/random.ts";
import { VirtualClock } from "../../testing/virtual-clock.ts";
import { memberClientOptions } from "./member-client.ts";

const scene = useScene();

describe("memberClientOptions", () => {
  it("reports a TLS file that has changed and can't be used, and nothing else", async () => {
    const directory = mkdtempSync(join(tmpdir(), "bowline-"));
    scene.onClose(() => rmSync(directory, { recursive: true, force: true }));
    const tls = { certificate: join(directory, "tls.crt"), key: join(directory, "tls.key") };
    const put = (name: string, key = name): void => {
      copyFileSync(certPath(`${key}.key`), tls.key);
      copyFileSync(certPath(`${name}.crt`), tls.certificate);
    };
    put("client");
    const clock = new VirtualClock();
    const reported: string[] = [];
    const context = {
      clock,
      random: systemRandom,
      environment: {},
      report: (error: Error) => reported.push(error.message),
    };
    const options = { tls, network: undefined, connectTimeoutMs: 1000 };
    scene.client("localhost:1", memberClientOptions(options, context, socketNetwork));
    put("server", "client");
    for (let looks = 0; looks < 1000 && reported.length === 0; looks++) await clock.advance(5000);
    put("server");
    await clock.advance(60_000);
    expect(reported).toEqual([expect.stringContaining(`(${tls.key}): does not belong to the certificate`)]);
  });

  it("gives each member a connection of its own", () => {
    const context = { clock: new VirtualClock(), random: systemRandom, environment: {} };
    const options = { tls: false, network: undefined, connectTimeoutMs: 1000 };
    const one = memberClientOptions(options, context, socketNetwork);
    expect(one.logger).not.toBe(memberClientOptions(options, context, socketNetwork).logger);
  });
});
