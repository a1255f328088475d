import type { ClientOptions } from "../../client/client-options.ts";
import type { Network } from "../../net/network.ts";
import type { TlsSettings } from "../../net/tls/tls-files.ts";
import type { Logger } from "../../observe/logger.ts";
import type { RegistryContext } from "../registry-config.ts";

/** What a product's own gRPC is reached with; options of adapters have these. */
export interface MemberOptions {
  readonly tls:
    | boolean
    | (TlsSettings & { readonly serverName?: string; readonly dangerouslySkipVerification?: boolean });
  /** Default: `sockets`. */
  readonly network: Network | undefined;
  readonly connectTimeoutMs: number;
}

/**
 * Options of our own clients for one member of a product, which share a connection. Failures are answered by another member, not by
 * another try at this one.
 */
export function memberClientOptions(
  { tls, network, connectTimeoutMs }: MemberOptions,
  { clock, random, report = ignore }: RegistryContext,
  sockets: Network,
): ClientOptions {
  const { serverName, dangerouslySkipVerification, ...files } = typeof tls === "object" ? tls : {};
  const dialled = dangerouslySkipVerification === true ? believing(network ?? sockets) : network;
  return {
    clock,
    random,
    tls: typeof tls === "object" ? files : tls,
    ...(serverName === undefined ? {} : { authority: serverName }),
    ...(dialled === undefined ? {} : { network: dialled }),
    retry: false,
    connectTimeoutMs,
    logger: memberLogger(report),
  };
}

/**
 * A logger for the clients of one member alone, so that they share their connection with no others. What happens to calls and connections
 * the adapter tells itself; the errors that a client logs besides are of TLS files that have changed and can't be used.
 */
function memberLogger(report: (error: Error) => void): Logger {
  return { info: ignore, warn: ignore, error: (_fields, message) => report(new Error(message)) };
}

function ignore(): void {}

/** A network whose certificates nobody looks at. */
function believing(network: Network): Network {
  return {
    listen: (target, options) => network.listen(target, options),
    dial: (address, options) => network.dial(address, { ...options, dangerouslySkipVerification: true }),
  };
}
