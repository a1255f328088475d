import { openTlsFiles, type TlsMaterial, type TlsSettings } from "../../net/tls/tls-files.ts";
import type { Clock } from "../../rpc/clock.ts";
import { checkOptions, type OptionSpecs } from "../../rpc/options.ts";

/** TLS towards a registry, as a user sets it. Files are read again when they change. */
export interface HttpTlsSettings extends Omit<TlsSettings, "clientCertificates"> {
  /** The name that the servers' certificates must carry. Default: the host that is connected to. */
  readonly serverName?: string;
  /**
   * True: whoever answers is believed, whatever certificate it shows, and so is anyone between. For a look at a test
   * system only; use `authorities` for a private authority. Default false.
   */
  readonly dangerouslySkipVerification?: boolean;
}

/** TLS as connections use it. */
export interface HttpTls {
  readonly material: TlsMaterial;
  readonly serverName: string | undefined;
  readonly isVerified: boolean;
}

const SPECS: OptionSpecs = {
  certificate: { kind: "any" },
  key: { kind: "any" },
  passphrase: { kind: "string" },
  authorities: { kind: "any" },
  minVersion: { kind: "one-of", values: ["TLSv1.2", "TLSv1.3"] },
  serverName: { kind: "string" },
  dangerouslySkipVerification: { kind: "boolean" },
};

/**
 * Checks the names and kinds of settings; the files are read by {@link openHttpTls}. `true` and `false` are settings too.
 *
 * @throws TypeError that names the option
 */
export function checkHttpTls(owner: string, tls: boolean | HttpTlsSettings | undefined): void {
  if (tls === undefined || typeof tls === "boolean") return;
  checkOptions(`${owner}: tls`, tls, SPECS);
  if (tls.serverName !== undefined && !/^[A-Za-z0-9_.:-]+$/.test(tls.serverName)) {
    throw new TypeError(`${owner}: tls.serverName: ${JSON.stringify(tls.serverName)} is no name of a host`);
  }
}

/** Reads the files. @throws TypeError that names the option, its file and what to do, as `openTlsFiles` */
export function openHttpTls(
  owner: string,
  settings: HttpTlsSettings,
  clock: Clock,
  report: (error: Error) => void,
): HttpTls {
  const { serverName, dangerouslySkipVerification = false, ...files } = settings;
  return {
    material: openTlsFiles("client", files, { clock, option: `${owner}: tls`, onError: report }),
    serverName,
    isVerified: !dangerouslySkipVerification,
  };
}
