import type { ClientRequest, Agent as PlainAgent, RequestOptions } from "node:http";
import { isIP, type Socket } from "node:net";
import { httpModule, httpsModule } from "../../rpc/platform.ts";
import type { HttpHost } from "./http-host.ts";
import type { HttpTls } from "./http-tls.ts";

/** How many connections are kept for the next request, a host. */
const MAX_IDLE = 8;

/** An agent and how many generations of certificates there were when it was made. */
interface Pool {
  readonly agent: PlainAgent;
  readonly generation: number;
}

/**
 * The connections of one client: kept alive between requests, a bounded number a host, and as many besides as there are streams,
 * which would hold up all others for as long as they go on. New certificates are used by new connections, and the old connections
 * end with their present request.
 */
export class HttpConnections {
  readonly #tls: HttpTls | undefined;
  readonly #maxConnections: number;
  readonly #onLost: (host: string) => void;
  /** By label of the host. */
  readonly #pools = new Map<string, Pool>();
  readonly #streamPools = new Map<string, Pool>();
  /** Connections that were kept for a further request, and that this side has not ended. */
  #kept = new WeakSet<Socket>();

  /** `onLost` is told the label of a host that has ended a connection which had been kept alive. */
  constructor(tls: HttpTls | undefined, maxConnections: number, onLost: (host: string) => void) {
    this.#tls = tls;
    this.#maxConnections = maxConnections;
    this.#onLost = onLost;
  }

  /** The name that a host's certificate is asked for. */
  serverName(host: HttpHost): string {
    return this.#tls?.serverName ?? host.hostname;
  }

  /** Begins a request; its events are the caller's affair. */
  begin(
    host: HttpHost,
    method: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    isStream: boolean,
  ): ClientRequest {
    const options: RequestOptions = {
      agent: isStream
        ? this.#agent(host, this.#streamPools, Number.POSITIVE_INFINITY)
        : this.#agent(host, this.#pools, this.#maxConnections),
      method,
      path: `${host.basePath}${path}`,
      headers,
      ...(host.socketPath === "" ? { hostname: host.hostname, port: host.port } : { socketPath: host.socketPath }),
    };
    if (!host.isTls) return httpModule().request(options);
    return httpsModule().request({ ...options, ...this.#tlsOptions(host) });
  }

  /** Ends all connections, those in use too, and the looks at the certificate files. */
  close(): void {
    this.#kept = new WeakSet();
    for (const pools of [this.#pools, this.#streamPools]) {
      for (const { agent } of pools.values()) agent.destroy();
      pools.clear();
    }
    this.#tls?.material.close();
  }

  #agent(host: HttpHost, pools: Map<string, Pool>, maxSockets: number): PlainAgent {
    const generation = host.isTls ? (this.#tls?.material.generation ?? 0) : 0;
    const known = pools.get(host.label);
    if (known?.generation === generation) return known.agent;
    if (known !== undefined) this.#retire(known.agent);
    const options = { keepAlive: true, keepAliveMsecs: 15_000, maxSockets, maxFreeSockets: MAX_IDLE };
    const agent = host.isTls ? new (httpsModule().Agent)(options) : new (httpModule().Agent)(options);
    agent.on("free", (socket) => this.#keep(socket, host.label));
    pools.set(host.label, { agent, generation });
    return agent;
  }

  /** One that was never kept is ended by a host of which nothing else is the matter: it answered, and said so. */
  #keep(socket: Socket, host: string): void {
    if (socket.destroyed) {
      // More than are kept.
      this.#kept.delete(socket);
    } else if (!this.#kept.has(socket)) {
      this.#kept.add(socket);
      socket.once("close", () => {
        const isOurs = socket.errored !== null && !isReset(socket.errored);
        if (this.#kept.has(socket) && !isOurs) this.#onLost(host);
      });
    }
  }

  /** What is in use finishes its request and is not kept. */
  #retire(agent: PlainAgent): void {
    agent.maxFreeSockets = 0;
    for (const socket of Object.values(agent.freeSockets).flat()) {
      if (socket === undefined) continue;
      this.#kept.delete(socket);
      socket.destroy();
    }
  }

  #tlsOptions(host: HttpHost): object {
    if (this.#tls === undefined) return {};
    const serverName = this.serverName(host);
    return {
      secureContext: this.#tls.material.current(),
      rejectUnauthorized: this.#tls.isVerified,
      // RFC 6066 §3: an address is no server name; the certificate is asked for it all the same.
      ...(isIP(serverName) === 0 ? { servername: serverName } : {}),
    };
  }
}

function isReset({ code }: NodeJS.ErrnoException): boolean {
  return code === "ECONNRESET" || code === "EPIPE";
}
