import { execFile } from "node:child_process";
import { connect } from "node:http2";
import { promisify } from "node:util";
import { canPin } from "../../../test/peers/pinning.ts";
import { ECHO_MESSAGE, UNARY_PATH } from "../../peers/echo.ts";
import type { StartDriver } from "../load/load-driver.ts";
import { readingOf } from "../load/reading.ts";
import { readH2loadOutput } from "./h2load-output.ts";

const run = promisify(execFile);
/** Time beyond that of the load, in ms. */
const PATIENCE_MS = 20_000;

/** What a unary call sends as the body of its request: a gRPC message with its prefix. */
export const ECHO_BODY: Buffer = Buffer.concat([Buffer.from([0, 0, 0, 0, ECHO_MESSAGE.length]), ECHO_MESSAGE]);

/** h2load on any server over cleartext HTTP/2: `body` is the path of a file that holds {@link ECHO_BODY}. Only the server's CPU time is taken. */
export function h2loadDriver(program: string, body: string): StartDriver {
  return async (server, address, core) => {
    await probe(address);
    return {
      run: async (load, seconds) => {
        const args = [
          ...["-c", String(load.connections), "-m", String(load.concurrency / load.connections)],
          ...["-D", String(Math.max(1, Math.round(seconds))), "-d", body],
          ...["-H", "content-type: application/grpc", "-H", "te: trailers", `http://${address}${UNARY_PATH}`],
        ];
        const before = await server.cpuMicroseconds();
        const [command, ...rest] =
          core !== undefined && canPin() ? ["taskset", "-c", String(core), program] : [program];
        const { stdout } = await run(command, [...rest, ...args], { timeout: seconds * 1000 + PATIENCE_MS });
        const after = await server.cpuMicroseconds();
        return readingOf(load, readH2loadOutput(stdout), { serverUs: after - before });
      },
      close: async () => {},
    };
  };
}

/** Makes one call by hand: h2load does not see a wrong answer. */
async function probe(address: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const session = connect(`http://${address}`);
  session.on("error", reject);
  const stream = session.request({
    ":method": "POST",
    ":path": UNARY_PATH,
    "content-type": "application/grpc",
    te: "trailers",
  });
  const chunks: Buffer[] = [];
  stream.on("error", reject);
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("end", () => {
    const answer = Buffer.concat(chunks);
    if (answer.equals(ECHO_BODY)) resolve();
    else reject(new Error(`the server at ${address} answered ${answer.toString("hex")}, not what was sent`));
  });
  stream.end(ECHO_BODY);
  await promise.finally(() => session.destroy());
}
