import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { NacosStore } from "./nacos-double.ts";

type Fields = Record<string, string>;

/** What a request is answered with. */
interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const OWNER = "http";

/**
 * The HTTP API of a Nacos server, on the loopback: version 1 of it as Nacos 2 has it, or version 3 and nothing else, as Nacos 3. Users log
 * in where there are any.
 */
export class NacosHttpDouble {
  readonly store: NacosStore;
  readonly isV3: boolean;
  /** User and password that are asked for; null: no users, and no place to log in. */
  credentials: { readonly user: string; readonly password: string } | null = null;
  /** Tokens that are taken. */
  readonly tokens: Set<string> = new Set();
  /** Requests so far, as `GET /v1/ns/instance/list`. */
  readonly counts: Record<string, number> = {};
  /** True for requests that are answered with 503: `GET /v1/ns/instance/list`, and the parameters. */
  refuses: (name: string, fields: Readonly<Fields>) => boolean = () => false;
  /** Life of a token in s. */
  tokenTtl = 18_000;
  #server: Server | null = null;
  #port = 0;
  #tokens = 0;
  readonly #changed = new Set<() => void>();

  constructor(store: NacosStore, isV3: boolean) {
    this.store = store;
    this.isV3 = isV3;
  }

  get host(): string {
    return `127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    const server = createServer((request, response) => {
      void this.#handle(request).then(({ status, body }) => {
        response.writeHead(status, { "content-type": "application/json" });
        response.end(typeof body === "string" ? body : JSON.stringify(body));
        for (const changed of [...this.#changed]) changed();
      });
    });
    this.#server = server;
    await once(server.listen(this.#port, "127.0.0.1"), "listening");
    this.#port = (server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    server?.closeAllConnections();
    if (server !== null) await new Promise((resolve) => server.close(resolve));
  }

  /** Waits until something holds, looked at after each answer. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        const changed = (): void => {
          this.#changed.delete(changed);
          resolve();
        };
        this.#changed.add(changed);
      });
    }
  }

  async #handle(request: IncomingMessage): Promise<Answer> {
    const url = new URL(request.url ?? "/", "http://double");
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const form = new URLSearchParams(Buffer.concat(chunks).toString());
    const fields: Fields = { ...Object.fromEntries(url.searchParams), ...Object.fromEntries(form) };
    const path = url.pathname.replace(/^\/nacos/, "");
    const name = `${request.method} ${path}`;
    this.counts[name] = (this.counts[name] ?? 0) + 1;
    if (this.refuses(name, fields)) return { status: 503, body: "server is busy" };
    if (path === (this.isV3 ? "/v3/auth/user/login" : "/v1/auth/users/login")) return this.#login(fields);
    if (path === (this.isV3 ? "/v3/admin/ns/service/list" : "/v1/ns/service/list")) return this.#services(fields);
    if (!path.startsWith(this.isV3 ? "/v3/client/ns/instance" : "/v1/ns/instance")) return { status: 404, body: {} };
    const token = String(request.headers.accesstoken ?? "");
    if (this.credentials !== null && !this.tokens.has(token)) return { status: 403, body: "token invalid!" };
    return this.#naming(name, fields);
  }

  #login({ username, password }: Fields): Answer {
    if (this.credentials === null) return { status: 404, body: {} };
    const isRight = username === this.credentials.user && password === this.credentials.password;
    if (!isRight) return { status: 403, body: "unknown user!" };
    const accessToken = `token-${++this.#tokens}`;
    this.tokens.add(accessToken);
    return { status: 200, body: { accessToken, tokenTtl: this.tokenTtl, globalAdmin: true } };
  }

  #naming(name: string, fields: Fields): Answer {
    const service = fields.serviceName.replace(/^.*@@/, "");
    const isSame = ({ ip, port }: Record<string, unknown>): boolean => ip === fields.ip && port === Number(fields.port);
    const mine = this.store.services.get(service)?.get(OWNER) ?? [];
    const others = mine.filter((each) => !isSame(each));
    if (name.endsWith("/list")) return this.#list(service);
    if (name.endsWith("/beat") || fields.heartBeat === "true") return this.#beat(others.length < mine.length);
    if (name.startsWith("DELETE")) this.store.set(service, OWNER, others);
    else this.store.set(service, OWNER, [...others, instanceOf(fields)]);
    return { status: 200, body: this.isV3 ? { code: 0, message: "success", data: "ok" } : "ok" };
  }

  #services({ pageNo, pageSize, groupNameParam }: Fields): Answer {
    const names = this.store.page({ pageNo, pageSize });
    const count = this.store.services.size;
    if (!this.isV3) return { status: 200, body: { count, doms: names } };
    const pageItems = names.map((name) => ({ name, groupName: name.startsWith("other-") ? "OTHER" : groupNameParam }));
    return { status: 200, body: { code: 0, message: "success", data: { totalCount: count, pageItems } } };
  }

  #list(service: string): Answer {
    const hosts = this.store.hosts(service);
    const body = this.isV3 ? { code: 0, message: "success", data: hosts } : { hosts, lastRefTime: this.store.time };
    return { status: 200, body };
  }

  #beat(isKnown: boolean): Answer {
    if (this.isV3) return isKnown ? { status: 200, body: { code: 0 } } : { status: 404, body: { code: 21_003 } };
    return { status: 200, body: { code: isKnown ? 10_200 : 20_404, clientBeatInterval: 5000 } };
  }
}

function instanceOf({ ip, port, weight, metadata, clusterName }: Fields): Record<string, unknown> {
  return { ip, port: Number(port), weight: Number(weight), clusterName, metadata: JSON.parse(metadata) };
}
