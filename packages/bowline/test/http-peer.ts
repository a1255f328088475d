import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer, type ServerOptions as TlsServerOptions } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { certPath } from "./certs.ts";

/** A request as it arrived, whole. */
export interface PeerRequest {
  readonly method: string;
  /** Without the query, percent-encoded as it came. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
  readonly response: ServerResponse;
}

/** What an HTTP peer of a test says; it ends the response itself, now or later. */
export type PeerHandler = (request: PeerRequest) => void;

/** An HTTP server of a test on a free port of the loopback. */
export class HttpPeer {
  /** All requests so far. */
  readonly requests: PeerRequest[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Connections that were ever made. */
  connections = 0;
  /** True: as if nobody were there; connections end as soon as they are made. */
  isAway = false;
  handler: PeerHandler;

  private constructor(server: Server, handler: PeerHandler) {
    this.#server = server;
    this.handler = handler;
    server.on("connection", (socket: Socket) => {
      this.connections++;
      if (this.isAway) socket.resetAndDestroy();
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    server.on("request", (message: IncomingMessage, response: ServerResponse) => void this.#read(message, response));
  }

  /** `tls`: the name of a certificate in test/certs, and options of Node's. `port`: default any that is free. */
  static async start(
    handler: PeerHandler,
    tls?: TlsServerOptions & { name: string },
    port: number = 0,
  ): Promise<HttpPeer> {
    const server =
      tls === undefined
        ? createServer()
        : createTlsServer({ ...tls, cert: pem(`${tls.name}.crt`), key: pem(`${tls.name}.key`) });
    const peer = new HttpPeer(server, handler);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, "127.0.0.1", resolve);
    });
    return peer;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** `127.0.0.1:port`. */
  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Ends each connection and listens no more. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.cut();
    await closed;
  }

  /** Nobody is there until `comeBack`. */
  goAway(): void {
    this.isAway = true;
    this.cut();
  }

  comeBack(): void {
    this.isAway = false;
  }

  /** Ends each connection; new ones are taken. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async #read(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of message as AsyncIterable<Buffer>) chunks.push(chunk);
    } catch {
      return;
    }
    const url = new URL(message.url ?? "/", "http://peer");
    const request = {
      method: message.method ?? "",
      path: (message.url ?? "/").replace(/\?.*$/, ""),
      query: url.searchParams,
      headers: message.headers,
      body: Buffer.concat(chunks).toString(),
      response,
    };
    this.requests.push(request);
    this.handler(request);
  }
}

/** Ends a response with JSON. */
export function answerJson(
  response: ServerResponse,
  value: unknown,
  status: number = 200,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(value));
}

/** Ends a response with a text. */
export function answerText(response: ServerResponse, status: number, text: string = ""): void {
  response.writeHead(status, { "content-type": "text/plain" });
  response.end(text);
}

function pem(name: string): string {
  return readFileSync(certPath(name), "utf8");
}
