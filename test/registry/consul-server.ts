import { join } from "node:path";
import { freePorts, ServerProcess } from "./server-process.ts";

/** How a Consul server is run, beside what every one of a test needs. */
export interface ConsulServerPlan {
  /** Path of the program. */
  readonly program: string;
  /** Ports of HTTP, gRPC, RPC and serf; the same over restarts. */
  readonly ports: readonly [http: number, grpc: number, rpc: number, serf: number];
  readonly node: string;
  /** Servers that make a cluster; others of it are joined by their serf ports. 0: it is a client of theirs. Default 1. */
  readonly servers?: number;
  readonly join?: readonly number[];
  /** Further settings of Consul's file, in its JSON. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** True: it is ready as soon as it answers at all, with or without a leader. Default false. */
  readonly isReadyWithoutLeader?: boolean;
}

/** A real Consul server on the loopback with data of its own. */
export class ConsulServer {
  readonly url: string;
  readonly address: string;
  readonly process: ServerProcess;

  private constructor(plan: ConsulServerPlan, process: ServerProcess) {
    this.address = `127.0.0.1:${plan.ports[0]}`;
    this.url = `http://${this.address}`;
    this.process = process;
  }

  static async start(plan: ConsulServerPlan): Promise<ConsulServer> {
    const [http, grpc, rpc, serf] = plan.ports;
    const { servers = 1 } = plan;
    const url = `http://127.0.0.1:${http}`;
    const server = await ServerProcess.start({
      program: plan.program,
      args: (folder) => [
        ...["agent", "-node", plan.node, "-data-dir", join(folder, "data")],
        ...["-bind", "127.0.0.1", "-client", "127.0.0.1"],
        ...(servers === 0 ? [] : ["-server", "-bootstrap-expect", String(servers)]),
        ...["-http-port", String(http), "-grpc-port", String(grpc), "-grpc-tls-port", "-1", "-dns-port", "-1"],
        ...["-server-port", String(rpc), "-serf-lan-port", String(serf), "-serf-wan-port", "-1", "-log-level", "warn"],
        // The shortest time in which it finds a leader.
        ...[
          "-hcl",
          "performance { raft_multiplier = 1 } limits { http_max_conns_per_client = 5000 } leave_on_terminate = false",
        ],
        ...(plan.join ?? []).flatMap((port) => ["-retry-join", `127.0.0.1:${port}`]),
        ...(plan.settings === undefined ? [] : ["-hcl", JSON.stringify(plan.settings)]),
      ],
      isReady: async () => {
        const leader = await fetch(`${url}/v1/status/leader`, { signal: AbortSignal.timeout(2000) });
        return plan.isReadyWithoutLeader === true || (await leader.text()).length > 4;
      },
      readyWithinMs: 60_000,
    });
    return new ConsulServer(plan, server);
  }

  /** A request to its API with a body of octets or JSON; rejects for all but 2xx. */
  async request(method: string, path: string, body?: unknown, token?: string): Promise<Response> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      body: body === undefined || body instanceof Uint8Array ? body : JSON.stringify(body),
      headers: token === undefined ? {} : { "x-consul-token": token },
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response;
  }
}

/** Four ports for each of so many servers. */
export async function consulPorts(servers: number): Promise<ConsulServerPlan["ports"][]> {
  const ports = await freePorts(servers * 4);
  return Array.from(
    { length: servers },
    (_, at) => ports.slice(at * 4, at * 4 + 4) as unknown as ConsulServerPlan["ports"],
  );
}
