import { join } from "node:path";
import { freePorts, ServerProcess } from "./server-process.ts";

/** A real Eureka server of Spring Cloud on the loopback, alone or with peers. */
export class EurekaServerProcess {
  /** `127.0.0.1:8761`. */
  readonly address: string;
  readonly process: ServerProcess;

  private constructor(address: string, process: ServerProcess) {
    this.address = address;
    this.process = process;
  }

  /** `port`: default any that is free. `peers`: addresses of others that it shares what it is told with. */
  static async start(program: string, port: number = 0, peers: readonly string[] = []): Promise<EurekaServerProcess> {
    const own = port === 0 ? (await freePorts(1))[0] : port;
    const address = `127.0.0.1:${own}`;
    const urls = [address, ...peers].map((each) => `http://${each}/eureka/`).join(",");
    const settings = {
      "server.port": own,
      "server.address": "127.0.0.1",
      "eureka.client.register-with-eureka": false,
      "eureka.client.fetch-registry": peers.length > 0,
      "eureka.client.service-url.defaultZone": urls,
      // Peers are told apart by their hosts, which are all one here.
      "eureka.instance.hostname": "127.0.0.1",
      "eureka.server.max-time-for-replication": 30_000,
      "eureka.server.enable-self-preservation": false,
      "eureka.server.eviction-interval-timer-in-ms": 1000,
      // It answers from memory, and not from what it wrote there up to 30 s ago.
      "eureka.server.use-read-only-response-cache": false,
      "eureka.server.response-cache-update-interval-ms": 500,
      "eureka.server.wait-time-in-ms-when-sync-empty": 0,
      "spring.main.banner-mode": "off",
      "logging.level.root": "warn",
    };
    const process = await ServerProcess.start({
      program,
      args: (folder) => [
        ...Object.entries(settings).map(([name, value]) => `--${name}=${value}`),
        `--server.tomcat.basedir=${join(folder, "tomcat")}`,
      ],
      env: { JAVA_OPTS: "-Xms64m -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1" },
      isReady: async () =>
        (await fetch(`http://${address}/eureka/apps/delta`, { signal: AbortSignal.timeout(2000) })).ok,
      readyWithinMs: 120_000,
    });
    return new EurekaServerProcess(address, process);
  }

  /** The status of each instance of an application, by id, as the server has it. */
  async statuses(app: string): Promise<Record<string, string>> {
    const response = await fetch(`http://${this.address}/eureka/apps/${encodeURIComponent(app)}`, {
      headers: { accept: "application/json" },
    });
    if (response.status === 404) return {};
    const { application } = (await response.json()) as {
      application: { instance: { instanceId: string; status: string }[] };
    };
    return Object.fromEntries(application.instance.map(({ instanceId, status }) => [instanceId, status]));
  }

  /** A request to its API; rejects for all but 2xx. */
  async request(method: string, path: string, body?: unknown): Promise<void> {
    const response = await fetch(`http://${this.address}/eureka${path}`, {
      method,
      body: body === undefined ? undefined : JSON.stringify(body),
      headers: body === undefined ? {} : { "content-type": "application/json" },
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  }
}
