import { type FSWatcher, readFileSync, watch } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { SecureContext, SecureContextOptions } from "node:tls";
import type { Clock, Timer } from "../../rpc/clock.ts";
import { checkOptions, type OptionSpecs } from "../../rpc/options.ts";
import { cryptoModule } from "../../rpc/platform.ts";
import { type CertificateInfo, createTlsContext, type NamedPem, type TlsContext } from "./tls-context.ts";

/** Default distance of the looks at the files, which catch what the file system does not announce. */
const DEFAULT_POLL_MS = 5000;

/** A set of files that does not fit is looked at again after this time before it is reported: the other file may be under way. */
const SETTLE_MS = 1000;

/** A PEM file's path, or the PEM itself as text or bytes. Files are read again when they change. */
export type PemSource = string | Buffer;

/** What a server does about certificates of clients. */
export type ClientCertificates = "none" | "request" | "require";

/** TLS as a user sets it. */
export interface TlsSettings {
  /** Own certificate, followed by its intermediates. A server needs it; a client for mutual TLS. */
  readonly certificate?: PemSource;
  /** Private key of `certificate`. */
  readonly key?: PemSource;
  /** For an encrypted `key`. */
  readonly passphrase?: string;
  /** Certificates of the authorities that vouch for the peer. Default of a client: those that come with Node. */
  readonly authorities?: PemSource | readonly PemSource[];
  /**
   * Server only. `require`: without a certificate from `authorities` no connection; `request`: any client, but the link's
   * peer says whether it is authorized; `none`. Default: `require` when `authorities` is set, else `none`.
   */
  readonly clientCertificates?: ClientCertificates;
  /** Default `TLSv1.2`. */
  readonly minVersion?: "TLSv1.2" | "TLSv1.3";
}

/** What TLS files need of the world. */
export interface TlsEnvironment {
  readonly clock: Clock;
  /** Name of the settings in messages. Default `tls`. */
  readonly option?: string;
  /** Distance of the looks at the files, in ms. Default 5000. */
  readonly pollMs?: number;
  /** False: look only every `pollMs`, do not ask the file system for news. Default true. */
  readonly isWatching?: boolean;
  /** The wall clock, in ms since 1970, for dates in certificates. Default: this machine's, as of OpenSSL, whatever time `clock` has. */
  readonly wallTimeMs?: () => number;
  /** New files are in use from now on. */
  readonly onReload?: (certificate: CertificateInfo | undefined) => void;
  /** Files changed to something that can't be used; the old ones stay in use. Once for each such state. */
  readonly onError?: (error: Error) => void;
}

/** Certificates in use, always a set that fits. */
export interface TlsMaterial {
  /** Starts at 1; grows with each change. */
  readonly generation: number;
  /** Of the own certificate; undefined without one. */
  readonly certificate: CertificateInfo | undefined;
  readonly clientCertificates: ClientCertificates;
  /** The context for the next connection; the same object during one generation. */
  current(): SecureContext;
  /** What `current` was made of, for `tls.Server.setSecureContext`. */
  readonly options: SecureContextOptions;
  /** Stops looking at the files. What is current stays usable. */
  close(): void;
}

/**
 * Reads and checks TLS files and keeps them current: connections made after a change use the new ones. Certificate, key
 * and authorities are switched together, and only to a set that fits; until then the old set stays in use.
 *
 * Throws TypeError, naming the option, the file and what to do: missing or unreadable file, no PEM, key and certificate of
 * different pairs, expired, passphrase missing or wrong, options that the role does not have.
 */
export function openTlsFiles(
  role: "client" | "server",
  settings: TlsSettings,
  environment: TlsEnvironment,
): TlsMaterial {
  return new TlsFiles(role, settings, environment);
}

interface Source {
  readonly label: string;
  /** Undefined: given as PEM. */
  readonly path: string | undefined;
  readonly pem: Buffer;
}

/** Files that do not fit: seen → (after SETTLE_MS the same) settled → reported. Anything else that is seen starts anew. */
interface Failure {
  /** Tells one set of bad files from another. */
  readonly state: string;
  phase: "seen" | "settled" | "reported";
}

class TlsFiles implements TlsMaterial {
  readonly clientCertificates: ClientCertificates;
  readonly #settings: TlsSettings;
  readonly #environment: TlsEnvironment;
  readonly #certificate: Source | undefined;
  readonly #key: Source | undefined;
  readonly #authorities: readonly Source[];
  readonly #watchers: FSWatcher[] = [];
  #generation = 1;
  #context: TlsContext;
  #fingerprint: string;
  #failure: Failure | undefined;
  #isLooking = false;
  #isLookWanted = false;
  #isClosed = false;
  #poll: Timer | null = null;
  #settle: Timer | null = null;

  constructor(role: "client" | "server", settings: TlsSettings, environment: TlsEnvironment) {
    const option = environment.option ?? "tls";
    checkTlsSettings(role, settings, option);
    this.#settings = settings;
    this.#environment = environment;
    this.#certificate = sourceOf(settings.certificate, `${option}.certificate`);
    this.#key = sourceOf(settings.key, `${option}.key`);
    const { authorities = [] } = settings;
    this.#authorities = [authorities].flat().map((authority) => requiredSource(authority, `${option}.authorities`));
    this.clientCertificates =
      settings.clientCertificates ?? (role === "server" && this.#authorities.length > 0 ? "require" : "none");
    const pems = this.#sources().map(readNow);
    this.#context = this.#build(pems);
    this.#fingerprint = fingerprintOf(pems);
    if (this.#sources().some((source) => source.path !== undefined)) this.#startLooking();
  }

  get generation(): number {
    return this.#generation;
  }

  get certificate(): CertificateInfo | undefined {
    return this.#context.certificate;
  }

  get options(): SecureContextOptions {
    return this.#context.options;
  }

  current(): SecureContext {
    return this.#context.secureContext;
  }

  close(): void {
    this.#isClosed = true;
    this.#poll?.cancel();
    this.#settle?.cancel();
    for (const watcher of this.#watchers) watcher.close();
  }

  #sources(): readonly Source[] {
    return [this.#certificate, this.#key, ...this.#authorities].filter((source) => source !== undefined);
  }

  /** `pems` in the order of `#sources`. */
  #build(pems: readonly NamedPem[]): TlsContext {
    const { wallTimeMs = machineTimeMs } = this.#environment;
    const rest = [...pems];
    const parts = {
      certificate: this.#certificate && rest.shift(),
      key: this.#key && rest.shift(),
      passphrase: this.#settings.passphrase,
      authorities: rest,
      minVersion: this.#settings.minVersion ?? "TLSv1.2",
    };
    return createTlsContext(parts, wallTimeMs());
  }

  /**
   * Directories are watched, not files: mounted secrets change by swapping a symbolic link beside them, and editors
   * replace files. Where watching is not possible, the regular look remains.
   */
  #startLooking(): void {
    const { clock, pollMs = DEFAULT_POLL_MS, isWatching = true } = this.#environment;
    this.#poll = clock.setInterval(() => this.#look(), pollMs);
    if (!isWatching) return;
    const directories = this.#sources().flatMap((source) => (source.path === undefined ? [] : [dirname(source.path)]));
    for (const directory of new Set(directories)) {
      try {
        const watcher = watch(directory, { persistent: false }, () => this.#look());
        watcher.on("error", () => watcher.close());
        this.#watchers.push(watcher);
      } catch {}
    }
  }

  #look(): void {
    this.#isLookWanted = true;
    if (!this.#isLooking) void this.#lookWhileWanted();
  }

  async #lookWhileWanted(): Promise<void> {
    this.#isLooking = true;
    while (this.#isLookWanted && !this.#isClosed) {
      this.#isLookWanted = false;
      // Only files that were read after the delay can confirm a failure.
      const settled = this.#failure?.phase === "settled" ? this.#failure : undefined;
      const pems = await Promise.all(this.#sources().map(readLater)).catch((error: Error) => error);
      if (!this.#isClosed) this.#found(pems, settled);
    }
    this.#isLooking = false;
  }

  #found(pems: readonly NamedPem[] | Error, settled: Failure | undefined): void {
    if (pems instanceof Error) return this.#failed(pems.message, pems, settled);
    const fingerprint = fingerprintOf(pems);
    if (fingerprint === this.#fingerprint) return this.#succeeded();
    let context: TlsContext;
    try {
      context = this.#build(pems);
    } catch (error) {
      return this.#failed(fingerprint, error instanceof Error ? error : new TypeError(String(error)), settled);
    }
    this.#succeeded();
    this.#context = context;
    this.#fingerprint = fingerprint;
    this.#generation++;
    this.#environment.onReload?.(context.certificate);
  }

  #succeeded(): void {
    this.#settle?.cancel();
    this.#failure = undefined;
  }

  #failed(state: string, error: Error, settled: Failure | undefined): void {
    if (this.#failure?.state !== state) {
      const failure: Failure = { state, phase: "seen" };
      this.#failure = failure;
      this.#settle?.cancel();
      this.#settle = this.#environment.clock.setTimeout(() => {
        failure.phase = "settled";
        this.#look();
      }, SETTLE_MS);
    } else if (this.#failure === settled) {
      this.#failure.phase = "reported";
      this.#environment.onError?.(
        new Error(`${error.message}; the certificates from before stay in use`, { cause: error }),
      );
    }
  }
}

function machineTimeMs(): number {
  // biome-ignore lint/nursery/noJsRestrictedProperties: dates in certificates are wall time, which a Clock does not have
  return Date.now();
}

const SPECS: OptionSpecs = {
  certificate: { kind: "any" },
  key: { kind: "any" },
  passphrase: { kind: "string" },
  authorities: { kind: "any" },
  clientCertificates: { kind: "any" },
  minVersion: { kind: "any" },
};

/**
 * Checks what can be checked without looking at a file; `option` is the name of the settings in messages.
 *
 * @throws TypeError that names the setting and what to do: unknown, missing beside another, not of this role
 */
export function checkTlsSettings(role: "client" | "server", settings: TlsSettings, option: string): void {
  checkOptions(option, settings, SPECS);
  const { certificate, key, authorities, clientCertificates, minVersion } = settings;
  if ((certificate === undefined) !== (key === undefined)) {
    const [given, missing] = key === undefined ? ["certificate", "key"] : ["key", "certificate"];
    throw new TypeError(`${option}.${missing} is missing, while ${option}.${given} is set; give both`);
  }
  if (role === "server" && certificate === undefined) {
    throw new TypeError(
      `${option}.certificate and ${option}.key are missing; a TLS server needs both, as paths of PEM files or as PEM`,
    );
  }
  if (role === "client" && clientCertificates !== undefined) {
    throw new TypeError(
      `${option}.clientCertificates is an option of servers; a client shows ${option}.certificate when it is set`,
    );
  }
  const modes: readonly unknown[] = ["none", "request", "require", undefined];
  if (!modes.includes(clientCertificates)) {
    throw new TypeError(
      `${option}.clientCertificates is "${clientCertificates}"; allowed: "none", "request", "require"`,
    );
  }
  if (
    (clientCertificates === "request" || clientCertificates === "require") &&
    (authorities === undefined || [authorities].flat().length === 0)
  ) {
    throw new TypeError(
      `${option}.authorities is missing; "${clientCertificates}" needs the authorities that vouch for clients`,
    );
  }
  const versions: readonly unknown[] = ["TLSv1.2", "TLSv1.3", undefined];
  if (!versions.includes(minVersion))
    throw new TypeError(`${option}.minVersion is "${minVersion}"; allowed: "TLSv1.2", "TLSv1.3"`);
}

function sourceOf(value: PemSource | undefined, option: string): Source | undefined {
  return value === undefined ? undefined : requiredSource(value, option);
}

function requiredSource(value: PemSource, option: string): Source {
  if (Buffer.isBuffer(value)) return { label: option, path: undefined, pem: value };
  if (typeof value !== "string" || value === "")
    throw new TypeError(`${option} is empty; give the path of a PEM file, or the PEM itself`);
  if (value.includes("-----BEGIN ")) return { label: option, path: undefined, pem: Buffer.from(value) };
  if (value.includes("\n"))
    throw new TypeError(`${option} is neither a path nor PEM ("-----BEGIN …" is missing); give one of them`);
  return { label: `${option} (${value})`, path: value, pem: Buffer.alloc(0) };
}

function readNow(source: Source): NamedPem {
  if (source.path === undefined) return source;
  try {
    return { label: source.label, pem: readFileSync(source.path) };
  } catch (error) {
    throw unreadable(source, error);
  }
}

async function readLater(source: Source): Promise<NamedPem> {
  if (source.path === undefined) return source;
  try {
    return { label: source.label, pem: await readFile(source.path) };
  } catch (error) {
    throw unreadable(source, error);
  }
}

function unreadable(source: Source, error: unknown): TypeError {
  const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: "there is no such file; correct the path or put the file there",
    ENOTDIR: "there is no such file; correct the path or put the file there",
    EACCES: "no permission to read it; change its mode or owner, or the user of this process",
    EISDIR: "this is a directory; give the path of the PEM file in it",
  };
  return new TypeError(`${source.label}: ${reasons[code] ?? `can't be read (${code})`}`, { cause: error });
}

function fingerprintOf(pems: readonly NamedPem[]): string {
  return pems.map(({ pem }) => cryptoModule().createHash("sha256").update(pem).digest("base64")).join(" ");
}
