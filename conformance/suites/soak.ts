import type { CaseResult, Programs, Suite } from "../harness/suite.ts";
import { installTools } from "../harness/tools.ts";
import { type CommandLine, goClient, ownClient, runCases, withGoServer, withOwnServer } from "./grpc-interop.ts";

/** Flags of the soak cases in gRPC's interop-test-descriptions.md. No call may fail or take more than a second. */
interface Soak {
  readonly iterations: number;
  readonly threads: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly timeoutSeconds: number;
}

const SMALL: Soak = { iterations: 100_000, threads: 8, requestBytes: 272, responseBytes: 314, timeoutSeconds: 600 };
/** grpc-go's client closes its channels at the end only: more would be above what our server takes at a time (maxConnections). */
const KEPT_CHANNELS = 8000;
const LARGE: Soak = { ...SMALL, requestBytes: 271_828, responseBytes: 314_159, timeoutSeconds: 1800 };

/** 100,000 small calls on one connection, each way: 20 s. */
export const soak: Suite = soakOf("soak", "100,000 small calls on one connection", "rpc_soak", SMALL);

/** Small calls, each on a connection of its own: 100,000 by our client, 8,000 by grpc-go's: 1 minute. */
export const soakChannels: Suite = {
  ...soakOf("soak-channels", "100,000 connections from us, 8,000 to us; 1 minute", "channel_soak", SMALL, {
    ...SMALL,
    iterations: KEPT_CHANNELS,
  }),
  isOptional: true,
};

/** 100,000 large calls on one connection, each way: 15 minutes. */
export const soakLarge: Suite = {
  ...soakOf("soak-large", "100,000 large calls on one connection; 15 minutes", "rpc_soak", LARGE),
  isOptional: true,
};

function soakOf(name: string, about: string, testCase: string, calling: Soak, called: Soak = calling): Suite {
  return {
    name,
    about: `${testCase} with grpc-go both ways, 8 at once: ${about}`,
    prepare: () => installTools("grpc-go-client", "grpc-go-server"),
    run: (programs) => bothWays(programs, testCase, calling, called),
  };
}

async function bothWays(programs: Programs, testCase: string, calling: Soak, called: Soak): Promise<CaseResult[]> {
  const run = (way: string, command: CommandLine, settings: Soak): Promise<CaseResult[]> =>
    runCases([`${testCase}/${way}`], () => withFlags(command, settings), (settings.timeoutSeconds + 10) * 1000);
  const toUs = await withOwnServer(undefined, (port) =>
    run("grpc-go-client", goClient(programs["grpc-go-client"], port, undefined, testCase), called),
  );
  const fromUs = await withGoServer(programs["grpc-go-server"], undefined, (port) =>
    run("grpc-go-server", ownClient(port, undefined, testCase), calling),
  );
  return [...toUs, ...fromUs];
}

/** Both clients take the flags with one dash or two. */
function withFlags({ command, args }: CommandLine, settings: Soak): CommandLine {
  const flags = [
    `--soak_iterations=${settings.iterations}`,
    `--soak_num_threads=${settings.threads}`,
    `--soak_overall_timeout_seconds=${settings.timeoutSeconds}`,
    `--soak_request_size=${settings.requestBytes}`,
    `--soak_response_size=${settings.responseBytes}`,
  ];
  return { command, args: [...args, ...flags] };
}
