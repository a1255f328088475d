import { rm } from "node:fs/promises";
import { freePorts, ServerProcess } from "./server-process.ts";

/** How an etcd is started. */
export interface EtcdPlan {
  /** Path of the program. */
  readonly program: string;
  /** Members; one has no peers. Default 1. */
  readonly members?: number;
  /** Further arguments of each member. */
  readonly args?: readonly string[];
  /** `https` with certificates in `args`. Default `http`. */
  readonly scheme?: "http" | "https";
}

/** A key as etcd's JSON gateway shows it, decoded. */
export interface EtcdKey {
  readonly key: string;
  readonly value: string;
  readonly lease: string;
}

/** One member. */
export interface EtcdMember {
  readonly process: ServerProcess;
  /** `127.0.0.1:port` for clients. */
  readonly host: string;
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const text = (value: unknown): string => Buffer.from(String(value ?? ""), "base64").toString();

/**
 * A real etcd, alone or as a cluster, with a look into it that is not Bowline's: the JSON gateway that etcd has on the same port.
 */
export class EtcdServer {
  readonly members: readonly EtcdMember[];
  /** Sent with each request to the gateway, once users are there. */
  token = "";

  private constructor(members: readonly EtcdMember[]) {
    this.members = members;
  }

  /** Starts all members and waits until they agree. */
  static async start({ program, members = 1, args = [], scheme = "http" }: EtcdPlan): Promise<EtcdServer> {
    const ports = await freePorts(2 * members);
    const client = (index: number): string => `127.0.0.1:${ports[2 * index]}`;
    const peer = (index: number): string => `http://127.0.0.1:${ports[2 * index + 1]}`;
    const cluster = Array.from({ length: members }, (_, index) => `m${index}=${peer(index)}`).join(",");
    const started = Array.from({ length: members }, async (_, index): Promise<EtcdMember> => {
      const url = `${scheme}://${client(index)}`;
      const flags = [
        ["--name", `m${index}`],
        ["--listen-client-urls", url],
        ["--advertise-client-urls", url],
        ["--listen-peer-urls", peer(index)],
        ["--initial-advertise-peer-urls", peer(index)],
        ["--initial-cluster", cluster],
        ["--log-level", "error"],
      ];
      const process = await ServerProcess.start({
        program,
        args: (folder) => [...flags.flat(), "--data-dir", `${folder}/data`, ...args],
        isReady: async () => (scheme === "https" ? answersTls(client(index)) : isHealthy(client(index))),
      });
      return { process, host: client(index) };
    });
    return new EtcdServer(await Promise.all(started));
  }

  /** Addresses for clients. */
  get hosts(): readonly string[] {
    return this.members.map(({ host }) => host);
  }

  /** Starts members that do not run. */
  async resume(): Promise<void> {
    await Promise.all(this.members.map(({ process }) => process.start()));
  }

  /** Ends all members; their data stay. */
  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGKILL"): Promise<void> {
    await Promise.all(this.members.map(({ process }) => process.stop(signal)));
  }

  /** Removes the data of members that do not run: they come back as another etcd. */
  async wipe(): Promise<void> {
    await Promise.all(
      this.members.map(({ process }) => rm(`${process.folder}/data`, { recursive: true, force: true })),
    );
  }

  /** Ends all members and removes their data. */
  async remove(): Promise<void> {
    await Promise.all(this.members.map(({ process }) => process.remove()));
  }

  async put(key: string, value: string, lease?: string): Promise<void> {
    await this.ask("kv/put", { key: base64(key), value: base64(value), ...(lease === undefined ? {} : { lease }) });
  }

  async delete(key: string): Promise<void> {
    await this.ask("kv/deleterange", { key: base64(key) });
  }

  /** Deletes all keys that begin with `prefix`, in one step. */
  async deleteAll(prefix: string): Promise<void> {
    await this.ask("kv/deleterange", { key: base64(prefix), range_end: base64(`${prefix}\uffff`) });
  }

  /** All keys that begin with `prefix`. */
  async list(prefix: string): Promise<EtcdKey[]> {
    const { kvs = [] } = (await this.ask("kv/range", {
      key: base64(prefix),
      range_end: base64(`${prefix}\uffff`),
    })) as {
      kvs?: Partial<Record<string, string>>[];
    };
    return kvs.map(({ key, value, lease }) => ({ key: text(key), value: text(value), lease: lease ?? "0" }));
  }

  /** Drops the history up to now; `member` is asked, else the first that runs. */
  async compact(member?: EtcdMember): Promise<void> {
    const ask = (path: string, body: object): Promise<unknown> =>
      member === undefined ? this.ask(path, body) : askOf(member.host, path, body, this.token);
    const { header } = (await ask("kv/range", { key: base64("\0") })) as { header: { revision: string } };
    await ask("kv/compaction", { revision: header.revision, physical: true });
  }

  async revoke(lease: string): Promise<void> {
    await this.ask("lease/revoke", { ID: lease });
  }

  /** A new lease, as another client would have it. */
  async grant(ttlSeconds: number): Promise<string> {
    const { ID } = (await this.ask("lease/grant", { TTL: ttlSeconds })) as { ID: string };
    return ID;
  }

  /** Turns users on: `root` with all rights, and `user` with the rights on `prefixes`, each with its own name as password. */
  async enableUsers(user: string, prefixes: readonly string[]): Promise<void> {
    for (const name of ["root", user]) {
      await this.ask("auth/user/add", { name, password: name });
      await this.ask("auth/role/add", { name });
      await this.ask("auth/user/grant", { user: name, role: name });
    }
    for (const prefix of prefixes) await this.grantRight(user, prefix);
    await this.ask("auth/enable", {});
    await this.logIn("root");
  }

  /** Lets the role of a user read and write what begins with `prefix`. */
  async grantRight(user: string, prefix: string): Promise<void> {
    const perm = { permType: "READWRITE", key: base64(prefix), range_end: base64(`${prefix.slice(0, -1)}0`) };
    await this.ask("auth/role/grant", { name: user, perm });
  }

  /** The gateway is asked as this user from now on. */
  async logIn(name: string): Promise<void> {
    // One that a restart has outdated would be refused.
    this.token = "";
    const { token } = (await this.ask("auth/authenticate", { name, password: name })) as { token: string };
    this.token = token;
  }

  /** Which member leads, by its index. */
  async leader(): Promise<number> {
    for (const [index, { process, host }] of this.members.entries()) {
      if (!process.isRunning) continue;
      const status = await askOf(host, "maintenance/status", {}, this.token).catch(() => undefined);
      const { leader, header } = (status ?? {}) as { leader?: string; header?: { member_id?: string } };
      if (leader !== undefined && leader !== "0" && leader === header?.member_id) return index;
    }
    return -1;
  }

  /** One request to the gateway of the first member that answers. */
  async ask(path: string, body: object): Promise<unknown> {
    let last: unknown;
    for (const { process, host } of this.members) {
      if (!process.isRunning) continue;
      try {
        return await askOf(host, path, body, this.token);
      } catch (error) {
        last = error;
      }
    }
    throw last ?? new Error("no member runs");
  }
}

async function askOf(host: string, path: string, body: object, token: string): Promise<unknown> {
  const response = await fetch(`http://${host}/v3/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(token === "" ? {} : { authorization: token }) },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(5000),
  });
  const answer: unknown = await response.json();
  if (!response.ok) throw new Error(`${path}: ${JSON.stringify(answer)}`);
  return answer;
}

async function isHealthy(host: string): Promise<boolean> {
  const { health } = (await (await fetch(`http://${host}/health`)).json()) as { health: string };
  return health === "true";
}

/** A server with certificates that answers at all is up; who is let in is what the tests are about. */
async function answersTls(host: string): Promise<boolean> {
  const { connect } = await import("node:tls");
  const [address, port] = host.split(":");
  return new Promise((resolve) => {
    const socket = connect({ host: address, port: Number(port), rejectUnauthorized: false, ALPNProtocols: ["h2"] });
    socket.once("secureConnect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
