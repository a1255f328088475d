import type { KeyObject, X509Certificate } from "node:crypto";
import type { SecureContext, SecureContextOptions } from "node:tls";
import { cryptoModule, tlsModule } from "../../rpc/platform.ts";

/**
 * For TLS 1.2 only what RFC 9113 appendix A leaves: ephemeral keys and authenticated encryption. AES-128 first: it is the
 * fastest one in hardware and no weaker in practice.
 */
const CIPHERS = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

/**
 * No renegotiation (CVE-2009-3555 and its cost), no session tickets: connections here live for hours, and a resumed
 * session would outlive the certificates and authorities that it was checked against.
 */
function secureOptions(): number {
  const { constants } = cryptoModule();
  return constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_TICKET;
}

/** PEM with the name by which messages call it: `tls.key`, followed by the path where there is one. */
export interface NamedPem {
  readonly label: string;
  readonly pem: Buffer;
}

/** What a context is made of. */
export interface TlsParts {
  readonly certificate: NamedPem | undefined;
  readonly key: NamedPem | undefined;
  readonly passphrase: string | undefined;
  /** Empty: the authorities that come with Node. */
  readonly authorities: readonly NamedPem[];
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
}

/** What may be told of the certificate in use. */
export interface CertificateInfo {
  /** Hexadecimal, in capitals. */
  readonly serialNumber: string;
  readonly subject: string;
  /** Milliseconds since 1970. */
  readonly validUntilMs: number;
}

/** A checked set of TLS settings. */
export interface TlsContext {
  readonly secureContext: SecureContext;
  readonly options: SecureContextOptions;
  readonly certificate: CertificateInfo | undefined;
}

/**
 * Checks the parts and makes a context of them. `nowMs` is the wall clock in milliseconds since 1970.
 *
 * Throws TypeError that names the option, its file and what to do.
 */
export function createTlsContext(parts: TlsParts, nowMs: number): TlsContext {
  const { certificate, key, passphrase, authorities, minVersion } = parts;
  const info = certificate && checkPair(certificate, key, passphrase, nowMs);
  const options: SecureContextOptions = {
    cert: certificate?.pem,
    key: key?.pem,
    passphrase,
    ca: authorities.length === 0 ? undefined : authorities.flatMap((authority) => certificateBlocks(authority)),
    ciphers: CIPHERS,
    minVersion,
    honorCipherOrder: true,
    secureOptions: secureOptions(),
  };
  for (const authority of authorities) readCertificates(authority);
  try {
    return { secureContext: tlsModule().createSecureContext(options), options, certificate: info };
  } catch (error) {
    throw wrong(certificate ?? authorities[0], `OpenSSL refuses it (${reasonOf(error)})`, error);
  }
}

function checkPair(
  certificate: NamedPem,
  key: NamedPem | undefined,
  passphrase: string | undefined,
  nowMs: number,
): CertificateInfo {
  const leaf = readCertificates(certificate)[0];
  const validUntilMs = leaf.validToDate.getTime();
  if (validUntilMs <= nowMs) throw wrong(certificate, `expired on ${leaf.validTo}; put a renewed certificate there`);
  if (leaf.validFromDate.getTime() > nowMs) {
    throw wrong(certificate, `is not valid before ${leaf.validFrom}; check this machine's clock or wait`);
  }
  if (key !== undefined && !leaf.checkPrivateKey(readKey(key, passphrase))) {
    throw wrong(key, `does not belong to the certificate of ${certificate.label}; give both files of one pair`);
  }
  return { serialNumber: leaf.serialNumber, subject: leaf.subject ?? "", validUntilMs };
}

function readCertificates(source: NamedPem): readonly X509Certificate[] {
  return certificateBlocks(source).map((block) => {
    try {
      return new (cryptoModule().X509Certificate)(block);
    } catch (error) {
      throw wrong(source, `holds a certificate that can't be read (${reasonOf(error)}); copy it anew`, error);
    }
  });
}

function certificateBlocks(source: NamedPem): readonly string[] {
  const text = source.pem.toString("latin1");
  const begun = text.match(/-----BEGIN [A-Z0-9 ]*CERTIFICATE-----/g)?.length ?? 0;
  const blocks = text.match(/-----BEGIN ([A-Z0-9 ]*CERTIFICATE)-----[^-]+-----END \1-----/g) ?? [];
  if (begun > blocks.length) throw wrong(source, "is cut off inside a certificate; copy the whole file");
  if (blocks.length > 0) return blocks;
  if (text.includes("PRIVATE KEY-----"))
    throw wrong(source, "holds a private key but no certificate; were the two options swapped?");
  throw wrong(
    source,
    'holds no PEM certificate ("-----BEGIN CERTIFICATE-----"); convert DER with: openssl x509 -inform der',
  );
}

function readKey(source: NamedPem, passphrase: string | undefined): KeyObject {
  const text = source.pem.toString("latin1");
  if (!text.includes("PRIVATE KEY-----")) {
    throw wrong(
      source,
      'holds no PEM private key ("-----BEGIN PRIVATE KEY-----"); were the options certificate and key swapped?',
    );
  }
  const isEncrypted = /BEGIN ENCRYPTED|Proc-Type: 4,ENCRYPTED/.test(text);
  if (isEncrypted && passphrase === undefined) throw wrong(source, "is encrypted; set the option passphrase beside it");
  try {
    return cryptoModule().createPrivateKey({ key: source.pem, passphrase });
  } catch (error) {
    const why = isEncrypted
      ? "can't be decrypted; correct the option passphrase"
      : "can't be read; copy the whole file anew";
    throw wrong(source, `${why} (${reasonOf(error)})`, error);
  }
}

function wrong(source: NamedPem | undefined, why: string, cause?: unknown): TypeError {
  return new TypeError(`${source?.label ?? "tls"}: ${why}`, cause === undefined ? undefined : { cause });
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "reason" in error && typeof error.reason === "string" ? error.reason : error.message;
}
