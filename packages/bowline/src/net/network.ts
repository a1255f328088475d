import type { Link } from "../http2/link.ts";
import { type DialOptions, dial } from "./dial.ts";
import { type Listener, type ListenOptions, type ListenTarget, listen } from "./listener.ts";

/**
 * Where servers listen and clients dial. All that Bowline knows of a network: links that are made, not what carries them.
 *
 * Everything of one connection happens in its `Link`; a network is asked once for each connection and each port.
 */
export interface Network {
  /**
   * True: a name in an address is this network's own affair, so clients hand `users:1` or `dns:///users:1` to `dial` as it
   * stands and never ask DNS. Default false.
   */
  readonly resolvesNames?: boolean;
  /**
   * Takes connections at `target` and hands each on by `options.onHttp2`, unstarted. Port 0 takes any free one.
   *
   * Rejects with ListenError: no address, taken, not permitted, or options that this network can't serve.
   */
  listen(target: ListenTarget, options: ListenOptions): Promise<Listener>;
  /**
   * Connects to `address` within `options.connectTimeoutMs`.
   *
   * Rejects with DialError, whatever went wrong; nothing is left open then.
   */
  dial(address: string, options: DialOptions): Promise<Link>;
}

/** This machine's sockets, with or without TLS: the network of servers and clients that are given no other. */
export const socketNetwork: Network = { listen, dial };
