import { checkLabel, type KubernetesOptions, OWNER, readPort } from "./options.ts";

/** A Service of a cluster, and which of its ports. */
export interface ServiceName {
  readonly namespace: string;
  readonly name: string;
  /** Undefined: the only one that there is. */
  readonly port: string | number | undefined;
}

/**
 * Reads `user`, `user:grpc`, `shop/user` or `shop/user:8080`.
 *
 * @throws TypeError that says how to write it
 */
export function readServiceName(text: string, options: KubernetesOptions, ownNamespace: string): ServiceName {
  const parts = /^(?:([^/:]*)\/)?([^/:]+)(?::([^/:]+))?$/.exec(text);
  if (parts === null) {
    const shown = JSON.stringify(text);
    throw new TypeError(`${OWNER}: ${shown} is no service: write "user", "user:grpc" or "namespace/user:8080"`);
  }
  const [, namespace = options.namespace ?? ownNamespace, name, port = options.port] = parts;
  checkLabel("the namespace of the service", namespace);
  checkLabel("the name of the service", name);
  return { namespace, name, port: port === undefined ? undefined : readPort(port) };
}
