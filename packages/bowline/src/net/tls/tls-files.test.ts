import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { certPair, certPath } from "../../../test/certs.ts";
import { ManualClock } from "../../../test/manual-clock.ts";
import { VirtualClock } from "../../testing/virtual-clock.ts";
import { openTlsFiles, type TlsEnvironment, type TlsMaterial, type TlsSettings } from "./tls-files.ts";

const SERVER_SERIAL = "1001";
const NEXT_SERIAL = "1002";

let clock: ManualClock;
let directory: string;
let opened: TlsMaterial[];

beforeEach(() => {
  clock = new ManualClock();
  directory = mkdtempSync(join(tmpdir(), "bowline-tls-"));
  opened = [];
});

afterEach(() => {
  for (const material of opened) material.close();
  rmSync(directory, { recursive: true });
  expect(clock.timers).toBe(0);
});

function open(
  settings: TlsSettings,
  environment: Partial<TlsEnvironment> = {},
  role: "client" | "server" = "server",
): TlsMaterial {
  const material = openTlsFiles(role, settings, { clock, ...environment });
  opened.push(material);
  return material;
}

/** Settings over copies of the pair `name`, which a test may change. */
function copied(name: string): { certificate: string; key: string } {
  put(name);
  return { certificate: join(directory, "tls.crt"), key: join(directory, "tls.key") };
}

function put(name: string): void {
  copyFileSync(certPath(`${name}.key`), join(directory, "tls.key"));
  copyFileSync(certPath(`${name}.crt`), join(directory, "tls.crt"));
}

/** A callback and the promise of its first call. */
function awaited<T>(): { callback: (value: T) => void; called: Promise<T>; calls: T[] } {
  const calls: T[] = [];
  let resolve: (value: T) => void = () => {};
  const called = new Promise<T>((settle) => {
    resolve = settle;
  });
  return {
    callback: (value) => {
      calls.push(value);
      resolve(value);
    },
    called,
    calls,
  };
}

/** Lets the clock run, one look at the files after the other, until `promise` settles. */
async function whilePolling<T>(promise: Promise<T>, stepMs = 5000): Promise<T> {
  let isSettled = false;
  const done = promise.finally(() => {
    isSettled = true;
  });
  while (!isSettled) await clock.advance(stepMs);
  return done;
}

describe("openTlsFiles", () => {
  it("takes paths, PEM text and PEM bytes", () => {
    const { certificate, key } = certPair("server");
    for (const settings of [
      { certificate, key },
      { certificate: readFileSync(certificate, "utf8"), key: readFileSync(key) },
    ]) {
      const material = open(settings);
      expect(material.generation).toBe(1);
      expect(material.certificate).toMatchObject({
        serialNumber: SERVER_SERIAL,
        subject: "O=Bowline tests\nCN=localhost",
      });
      expect(material.current()).toBe(material.current());
    }
  });

  it("looks at nothing when all is given as PEM", () => {
    open({ certificate: readFileSync(certPath("server.crt")), key: readFileSync(certPath("server.key")) });
    expect(clock.timers).toBe(0);
  });

  it("asks clients for certificates as soon as there are authorities, unless told otherwise", () => {
    const authorities = [certPath("authority.crt"), readFileSync(certPath("other-authority.crt"))];
    expect(open(certPair("server")).clientCertificates).toBe("none");
    expect(open({ ...certPair("server"), authorities }).clientCertificates).toBe("require");
    expect(open({ ...certPair("server"), authorities, clientCertificates: "request" }).clientCertificates).toBe(
      "request",
    );
    expect(open({ ...certPair("server"), authorities, clientCertificates: "none" }).clientCertificates).toBe("none");
    expect(open({ authorities }, {}, "client").clientCertificates).toBe("none");
  });

  it("serves a client without any setting: Node's own authorities", () => {
    expect(open({}, {}, "client").certificate).toBeUndefined();
  });

  it("decrypts a key with its passphrase", () => {
    const settings = { certificate: certPath("server.crt"), key: certPath("server-encrypted.key") };
    expect(open({ ...settings, passphrase: "bowline" }).generation).toBe(1);
    expect(() => open(settings)).toThrow(
      /^tls\.key \(.*server-encrypted\.key\): is encrypted; set the option passphrase/,
    );
    expect(() => open({ ...settings, passphrase: "granny" })).toThrow(
      /server-encrypted\.key\): can't be decrypted; correct the option passphrase/,
    );
  });

  it.each<[string, TlsSettings, RegExp]>([
    [
      "a missing file",
      { ...certPair("server"), key: certPath("nowhere.key") },
      /^tls\.key \(.*nowhere\.key\): there is no such file/,
    ],
    [
      "a directory",
      { ...certPair("server"), certificate: certPath("") },
      /^tls\.certificate \(.*\): this is a directory/,
    ],
    [
      "an expired certificate",
      certPair("server-expired"),
      /^tls\.certificate \(.*expired\.crt\): expired on Jan +2 00:00:00 2020 GMT; put/,
    ],
    [
      "a key of another pair",
      { ...certPair("server"), key: certPath("client.key") },
      /^tls\.key \(.*client\.key\): does not belong to the certificate of tls\.certificate \(.*server\.crt\)/,
    ],
    [
      "swapped files",
      { certificate: certPath("server.key"), key: certPath("server.crt") },
      /^tls\.certificate .*holds a private key but no certificate; were the two options swapped/,
    ],
    [
      "a certificate as key",
      { ...certPair("server"), key: certPath("server.crt") },
      /^tls\.key .*holds no PEM private key/,
    ],
    [
      "no PEM",
      { ...certPair("server"), certificate: certPath("make.sh") },
      /^tls\.certificate .*holds no PEM certificate/,
    ],
    [
      "a cut-off PEM",
      { ...certPair("server"), certificate: readFileSync(certPath("server.crt")).subarray(0, 300) },
      /^tls\.certificate: is cut off inside a certificate/,
    ],
    [
      "a damaged certificate",
      { ...certPair("server"), certificate: damaged("server.crt") },
      /^tls\.certificate: holds a certificate that can't be read/,
    ],
    ["a damaged key", { ...certPair("server"), key: damaged("server.key") }, /^tls\.key: can't be read/],
    [
      "a text that is neither path nor PEM",
      { ...certPair("server"), key: "MIGHAgEAMBMG\nByqGSM49" },
      /^tls\.key is neither a path nor PEM/,
    ],
    ["an empty text", { ...certPair("server"), key: "" }, /^tls\.key is empty/],
    [
      "a certificate without key",
      { certificate: certPath("server.crt") },
      /^tls\.key is missing, while tls\.certificate is set/,
    ],
    [
      "a key without certificate",
      { key: certPath("server.key") },
      /^tls\.certificate is missing, while tls\.key is set/,
    ],
    ["a server without certificate", {}, /^tls\.certificate and tls\.key are missing/],
    [
      "required certificates without authorities",
      { ...certPair("server"), clientCertificates: "require" },
      /^tls\.authorities is missing; "require" needs/,
    ],
    [
      "authorities that are none",
      { ...certPair("server"), authorities: [certPath("make.sh")] },
      /^tls\.authorities \(.*make\.sh\): holds no PEM certificate/,
    ],
    [
      "an unknown mode",
      { ...certPair("server"), clientCertificates: "maybe" as "none" },
      /^tls\.clientCertificates is "maybe"; allowed/,
    ],
    [
      "an unknown version",
      { ...certPair("server"), minVersion: "TLSv1.1" as "TLSv1.2" },
      /^tls\.minVersion is "TLSv1\.1"; allowed/,
    ],
  ])("refuses %s", (_, settings, message) => {
    expect(() => open(settings)).toThrow(TypeError);
    expect(() => open(settings)).toThrow(message);
  });

  it("refuses a client's setting for servers, and names the option as the user wrote it", () => {
    expect(() => open({ clientCertificates: "none" }, { option: "client.tls" }, "client")).toThrow(
      /^client\.tls\.clientCertificates is an option of servers/,
    );
  });

  it.each([1e14, -1e14])("judges dates by the machine's time, also with a clock that is at %d ms", (startMs) => {
    expect(open(certPair("server"), { clock: new VirtualClock(startMs) }).generation).toBe(1);
  });

  it("refuses a certificate from the future", () => {
    const wallTimeMs = (): number => Date.UTC(2019, 5);
    expect(() => open(certPair("server"), { wallTimeMs })).toThrow(/is not valid before Jan +1 00:00:00 2020 GMT/);
  });

  it("says who may not read a file", ({ skip }) => {
    const settings = copied("server");
    chmodSync(settings.key, 0);
    if (process.getuid?.() === 0) return skip("root may read everything");
    expect(() => open(settings)).toThrow(/tls\.key .*no permission to read it/);
  });
});

describe("TLS files that change", () => {
  it("are taken at once when the file system tells", async () => {
    const settings = copied("server");
    const reload = awaited<unknown>();
    const material = open(settings, { onReload: reload.callback });
    const before = material.current();
    put("server-next");
    expect(await reload.called).toMatchObject({ serialNumber: NEXT_SERIAL });
    expect(material.generation).toBe(2);
    expect(material.current()).not.toBe(before);
    expect(material.options.cert).toEqual(readFileSync(certPath("server-next.crt")));
  });

  it("are found by looking when it does not", async () => {
    const settings = copied("server");
    const reload = awaited<unknown>();
    const material = open(settings, { isWatching: false, onReload: reload.callback });
    await clock.advance(20_000);
    expect(material.generation).toBe(1);
    put("server-next");
    expect(await whilePolling(reload.called)).toMatchObject({ serialNumber: NEXT_SERIAL });
  });

  it("are taken when a mounted secret swaps its symbolic link", async () => {
    for (const name of ["server", "server-next"]) {
      mkdirSync(join(directory, name));
      copyFileSync(certPath(`${name}.crt`), join(directory, name, "tls.crt"));
      copyFileSync(certPath(`${name}.key`), join(directory, name, "tls.key"));
    }
    symlinkSync("server", join(directory, "..data"));
    symlinkSync("..data/tls.crt", join(directory, "tls.crt"));
    symlinkSync("..data/tls.key", join(directory, "tls.key"));
    const reload = awaited<unknown>();
    open({ certificate: join(directory, "tls.crt"), key: join(directory, "tls.key") }, { onReload: reload.callback });
    symlinkSync("server-next", join(directory, "..data_tmp"));
    renameSync(join(directory, "..data_tmp"), join(directory, "..data"));
    expect(await reload.called).toMatchObject({ serialNumber: NEXT_SERIAL });
    expect(reload.calls).toHaveLength(1);
  });

  it("switch certificate and key together, without a complaint about the moment between", async () => {
    const settings = copied("server");
    const reload = awaited<unknown>();
    const errors: Error[] = [];
    const material = open(settings, {
      isWatching: false,
      pollMs: 100,
      onReload: reload.callback,
      onError: (error) => errors.push(error),
    });
    copyFileSync(certPath("server-next.crt"), settings.certificate);
    await clock.advance(800);
    expect(material.certificate?.serialNumber).toBe(SERVER_SERIAL);
    copyFileSync(certPath("server-next.key"), settings.key);
    await whilePolling(reload.called, 100);
    expect(errors).toEqual([]);
    expect(material.certificate?.serialNumber).toBe(NEXT_SERIAL);
  });

  it.each<[string, (settings: { certificate: string; key: string }) => void, RegExp]>([
    [
      "do not fit each other",
      ({ key }) => copyFileSync(certPath("client.key"), key),
      /does not belong to the certificate/,
    ],
    [
      "are half written",
      ({ certificate }) => writeFileSync(certificate, readFileSync(certPath("server-next.crt")).subarray(0, 200)),
      /is cut off/,
    ],
    ["are gone", ({ key }) => rmSync(key), /tls\.key .*there is no such file/],
    ["have expired", () => put("server-expired"), /expired on/],
  ])("and then %s are reported once, and the old ones stay", async (_, spoil, message) => {
    const settings = copied("server");
    const error = awaited<Error>();
    const reload = awaited<unknown>();
    const material = open(settings, { isWatching: false, onError: error.callback, onReload: reload.callback });
    const before = material.current();
    spoil(settings);
    expect((await whilePolling(error.called)).message).toMatch(message);
    expect((await error.called).message).toMatch(/; the certificates from before stay in use$/);
    await clock.advance(60_000);
    expect(error.calls).toHaveLength(1);
    expect(material.current()).toBe(before);
    expect(material.generation).toBe(1);

    put("server-next");
    await whilePolling(reload.called);
    expect(material.generation).toBe(2);
    expect(error.calls).toHaveLength(1);
  });

  it("are reported anew when they are wrong in another way", async () => {
    const settings = copied("server");
    const [first, second] = [awaited<Error>(), awaited<Error>()];
    open(settings, {
      isWatching: false,
      onError: (error) => (first.calls.length === 0 ? first : second).callback(error),
    });
    rmSync(settings.key);
    expect((await whilePolling(first.called)).message).toMatch(/no such file/);
    copyFileSync(certPath("client.key"), settings.key);
    expect((await whilePolling(second.called)).message).toMatch(/does not belong/);
  });

  it("renew authorities too", async () => {
    const authorities = join(directory, "ca.crt");
    copyFileSync(certPath("authority.crt"), authorities);
    const reload = awaited<unknown>();
    const material = open({ authorities }, { onReload: reload.callback }, "client");
    writeFileSync(
      authorities,
      Buffer.concat([readFileSync(certPath("authority.crt")), readFileSync(certPath("other-authority.crt"))]),
    );
    await reload.called;
    expect(material.options.ca).toHaveLength(2);
  });

  it("are left alone after close", async () => {
    const settings = copied("server");
    const material = open(settings);
    material.close();
    put("server-next");
    await clock.advance(60_000);
    expect(material.generation).toBe(1);
    expect(clock.timers).toBe(0);
  });
});

/** PEM whose base64 reads well and means nothing. */
function damaged(name: string): string {
  return readFileSync(certPath(name), "utf8").replace(/\n([A-Za-z0-9+/]{20})/, "\nAAAAAAAAAAAAAAAAAAAA");
}
