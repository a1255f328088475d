import { fileURLToPath } from "node:url";
import type { Program } from "../../test/peers/child.ts";
import { buildGoPrograms, GO_PROGRAMS_MISSING, type GoProgram } from "../../test/peers/go-programs.ts";
import { buildTonicPeer, TONIC_PEER_MISSING } from "../../test/peers/tonic-program.ts";
import { goDriver, goProgram, isTonicLoad, tonicDriver } from "../harness/load/native-driver.ts";
import { nodeDriver } from "../harness/load/node-driver.ts";
import type { Contestant } from "../harness/measure/contestant.ts";
import { type Pair, pairContestant } from "../harness/measure/pair.ts";
import type { Peers } from "../harness/question.ts";

/** What a pair may be told besides its programs. */
export interface PairOptions {
  /** Name in tables; default: the peer's. */
  readonly name?: string;
  /** Names of the loads that it is measured under; default: all. */
  readonly only?: readonly string[];
  readonly serverArgs?: readonly string[];
  readonly clientArgs?: readonly string[];
  /** Names of a Node peer's programs, without `.ts`; default: server and client. */
  readonly roles?: { readonly server: string; readonly client: string };
  readonly isPinned?: boolean;
}

/** A peer of a folder beside this file. */
export type NodePeer = "bowline" | "grpc-js" | "connect-node" | "node-http2" | "bare-framing" | "socket-echo";

/** The program `ROLE.ts` of a peer; `nodeArgs` are Node's own. */
export function nodeProgram(
  peer: NodePeer,
  role: string,
  args: readonly string[] = [],
  nodeArgs: readonly string[] = [],
): Program {
  return { command: process.execPath, args: [...nodeArgs, pathOf(peer, role), ...args] };
}

/** The server program of a peer. */
export function nodeServer(peer: NodePeer, args: readonly string[] = [], nodeArgs: readonly string[] = []): Program {
  return nodeProgram(peer, "server", args, nodeArgs);
}

/** Server and client of a peer in Node. */
export function nodePair(peer: NodePeer, options: PairOptions = {}): Contestant {
  const { serverArgs, clientArgs, roles = { server: "server", client: "client" } } = options;
  return pairContestant({
    ...place(peer, options),
    server: nodeProgram(peer, roles.server, serverArgs),
    driver: nodeDriver(pathOf(peer, roles.client), clientArgs),
  });
}

/** Contestants that need a program which may not be had, by name; the reason if it can't. */
export interface Needed {
  readonly names: readonly string[];
  readonly contestants: readonly Contestant[] | undefined;
  readonly reason: string;
}

/** All peers that can be had here. */
export function peersOf(always: readonly Contestant[], ...needed: readonly Needed[]): Peers {
  const missing = needed.filter((each) => each.contestants === undefined);
  return {
    contestants: [...always, ...needed.flatMap((each) => each.contestants ?? [])],
    skipped: Object.fromEntries(missing.flatMap(({ names, reason }) => names.map((name) => [name, reason]))),
  };
}

/** grpc-go against itself. */
export function grpcGo(options: PairOptions = {}): Needed {
  return go(["grpcgo-server", "grpcgo-client"], options.name ?? "grpc-go", (folder) => [
    pairContestant({
      ...place("grpc-go", options),
      server: grpcGoServer(folder, options.serverArgs),
      driver: goDriver(`${folder}/grpcgo-client`, options.clientArgs),
    }),
  ]);
}

/** grpc-go's client on Bowline's server. */
export function grpcGoOnBowline(options: PairOptions = {}): Needed {
  const name = options.name ?? GRPC_GO_ON_BOWLINE;
  return go(["grpcgo-client"], name, (folder) => [
    pairContestant({
      ...place(name, options),
      server: nodeServer("bowline", options.serverArgs),
      driver: goDriver(`${folder}/grpcgo-client`, options.clientArgs),
    }),
  ]);
}

/** Name of {@link grpcGoOnBowline}. */
export const GRPC_GO_ON_BOWLINE = "grpc-go → bowline";

/** go-zero against itself with its interceptors on, but for shedding by CPU load, which would end the measurement. */
export function goZero(options: PairOptions = {}): Needed {
  return go(["gozero-server", "gozero-client"], "go-zero", (folder) => [
    pairContestant({
      ...place("go-zero", options),
      server: goProgram(`${folder}/gozero-server`, ["-id", "", "-cpu-threshold", "0"]),
      driver: goDriver(`${folder}/gozero-client`, [], "-endpoints"),
      can: (load) => load.connections === 1,
    }),
  ]);
}

/** tonic against itself. */
export function tonic(options: PairOptions = {}): Needed {
  const program = buildTonicPeer();
  const contestants = (path: string): Contestant[] => [
    pairContestant({
      ...place("tonic", options),
      server: tonicServer(path),
      driver: tonicDriver(path),
      can: isTonicLoad,
    }),
  ];
  return needed("tonic", program, TONIC_PEER_MISSING, contestants);
}

/** grpc-go's server program in the folder of the built programs. */
export function grpcGoServer(folder: string, args: readonly string[] = []): Program {
  return goProgram(`${folder}/grpcgo-server`, ["-id", "", "-drain", "100ms", ...args]);
}

/** tonic's server program. */
export function tonicServer(path: string): Program {
  return { command: path, args: ["server", "127.0.0.1:0"] };
}

/** Contestants of Go programs; `make` gets the folder that they are in. */
export function go(programs: readonly GoProgram[], name: string, make: (folder: string) => Contestant[]): Needed {
  return needed(name, buildGoPrograms(...programs), GO_PROGRAMS_MISSING, make);
}

/** Contestants of a program that may not be had. */
export function needed(
  name: string,
  program: string | undefined,
  reason: string,
  make: (program: string) => readonly Contestant[],
): Needed {
  return { names: [name], contestants: program === undefined ? undefined : make(program), reason };
}

function place(name: string, options: PairOptions): Pick<Pair, "name" | "only" | "isPinned"> {
  const { only, isPinned } = options;
  return {
    name: options.name ?? name,
    ...(only === undefined ? {} : { only }),
    ...(isPinned === undefined ? {} : { isPinned }),
  };
}

function pathOf(peer: NodePeer, role: string): string {
  return fileURLToPath(new URL(`./${peer}/${role}.ts`, import.meta.url));
}
