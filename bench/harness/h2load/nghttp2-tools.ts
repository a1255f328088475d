import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { attempt } from "../../../test/peers/attempt.ts";
import { Child } from "../../../test/peers/child.ts";
import { UNARY_PATH } from "../../peers/echo.ts";
import type { StartServer } from "../measure/pair.ts";
import { ECHO_BODY } from "./h2load-driver.ts";

/** Why {@link nghttp2Tools} gives nothing, for reports. */
export const NGHTTP2_TOOLS_MISSING = "conformance/tools/get failed: h2load and nghttpd need Debian's apt-get";

/** Paths of nghttp2's programs. */
export interface Nghttp2Tools {
  readonly h2load: string;
  readonly nghttpd: string;
  /** A folder that holds the body of a call at the path of its method; gone when this process ends. */
  readonly folder: string;
  /** Path of the body. */
  readonly body: string;
}

/** Installs h2load and nghttpd if need be; undefined where they can't be had. */
export function nghttp2Tools(): Nghttp2Tools | undefined {
  const get = fileURLToPath(new URL("../../../conformance/tools/get", import.meta.url));
  const paths = attempt("bash", [get, "h2load", "nghttpd"])?.split("\n");
  if (paths?.length !== 2) return undefined;
  const folder = mkdtempSync(join(tmpdir(), "bowline-bench-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const body = join(folder, UNARY_PATH);
  mkdirSync(dirname(body), { recursive: true });
  writeFileSync(body, ECHO_BODY);
  return { h2load: paths[0], nghttpd: paths[1], folder, body };
}

/** nghttpd with one thread: answers with the file at the path of the request, whatever the method. */
export function nghttpdServer({ nghttpd, folder }: Nghttp2Tools): StartServer {
  return async (core) => {
    const port = await freePort();
    const args = ["--no-tls", "-a", "127.0.0.1", "-d", folder, String(port)];
    const child = new Child({ command: nghttpd, args, printsLines: false }, core);
    await listening(port);
    return { child, address: `127.0.0.1:${port}` };
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Tries until somebody listens: nghttpd does not say when it does. */
async function listening(port: number): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const socket = connect(port, "127.0.0.1");
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    });
    socket.destroy();
    if (isOpen) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nghttpd does not listen on port ${port}`);
}
