import { checkOptions, type OptionSpecs } from "../../rpc/options.ts";
import { checkHttpTls, type HttpTlsSettings } from "../http/http-tls.ts";

/** Which cluster to ask, and how. Without any option: the own cluster of a pod, else what kubectl would use. */
export interface KubernetesOptions {
  /** Of services whose name says none. Default: that of the own pod, else of kubectl's context, else `default`. */
  readonly namespace?: string;
  /**
   * Of services whose name says none: the name of a port, or the number that the pods listen on (not the Service's own). Default: the
   * only port that the service has.
   */
  readonly port?: string | number;
  /** `https://10.0.0.1:6443`, in place of the own cluster and of kubectl's. */
  readonly server?: string;
  /** Bearer token for `server`. Never part of a message. */
  readonly token?: string;
  /** File with the token for `server`; read again each minute, as tokens of pods change. */
  readonly tokenFile?: string;
  /** Authorities and client certificate for `server`. */
  readonly tls?: HttpTlsSettings;
  /** Kubectl's configuration. Default: the environment's KUBECONFIG, else `~/.kube/config`; needs the package `yaml`. */
  readonly kubeconfig?: string;
  /** A context in it. Default: its current one. */
  readonly context?: string;
  /** For a connection, in ms. Default 3000. */
  readonly connectTimeoutMs?: number;
  /** For each whole answer, in ms. Default 10,000: lists of large services take a while. */
  readonly requestTimeoutMs?: number;
}

const MAX_MS = 600_000;

const SPECS: OptionSpecs = {
  namespace: { kind: "string" },
  port: { kind: "any" },
  server: { kind: "string" },
  token: { kind: "string" },
  tokenFile: { kind: "string" },
  tls: { kind: "any" },
  kubeconfig: { kind: "string" },
  context: { kind: "string" },
  connectTimeoutMs: { kind: "number", min: 1, max: MAX_MS, unit: "ms" },
  requestTimeoutMs: { kind: "number", min: 1, max: MAX_MS, unit: "ms" },
};

/** A label of DNS: what names of namespaces, services and ports are (RFC 1123; Kubernetes "Object Names and IDs"). */
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** For messages. */
export const OWNER = "kubernetes registry";

/** @throws TypeError or RangeError that names the option */
export function checkKubernetesOptions(options: KubernetesOptions): void {
  checkOptions("kubernetes()", options, SPECS);
  const { namespace, port, server, token, tokenFile, tls, kubeconfig, context } = options;
  if (namespace !== undefined) checkLabel("namespace", namespace);
  if (port !== undefined) readPort(port);
  checkHttpTls("kubernetes()", tls);
  if (token !== undefined && tokenFile !== undefined) {
    throw new TypeError("kubernetes(): token and tokenFile are given; give one of them");
  }
  if (server === undefined && (token ?? tokenFile ?? tls) !== undefined) {
    throw new TypeError("kubernetes(): token, tokenFile and tls belong to server, which is missing");
  }
  if (server !== undefined && (kubeconfig ?? context) !== undefined) {
    throw new TypeError("kubernetes(): server and kubeconfig are given; give one of them");
  }
}

/** @throws TypeError that names the field, the value and what is allowed */
export function checkLabel(field: string, value: string): void {
  if (LABEL.test(value)) return;
  throw new TypeError(
    `${OWNER}: ${field} is ${JSON.stringify(value)}: give small letters, digits and hyphens, 63 at most, as Kubernetes does`,
  );
}

/** The number or name of a port; a text of digits is a number. @throws TypeError */
export function readPort(port: string | number): string | number {
  const number = typeof port === "string" && /^[0-9]+$/.test(port) ? Number(port) : port;
  if (typeof number === "number" ? Number.isInteger(number) && number >= 1 && number <= 65_535 : LABEL.test(number)) {
    return number;
  }
  throw new TypeError(
    `${OWNER}: port is ${JSON.stringify(port)}: give a number from 1 to 65535, or the name of a port of the Service`,
  );
}
