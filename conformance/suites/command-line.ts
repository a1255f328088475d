import { Child } from "../../test/peers/child.ts";
import {
  type CommandCase,
  complains,
  runCommandCases,
  writes,
  writesJson,
  writesLines,
} from "../harness/command-case.ts";
import type { CaseResult, Suite } from "../harness/suite.ts";
import { installTools } from "../harness/tools.ts";
import { type TestCertificates, testCertificates } from "./certificates.ts";
import { ownProgram } from "./program-path.ts";

/** Its requests are JSON on the command line; what it knows of our service it has by reflection. */
export const grpcurl: Suite = {
  name: "grpcurl",
  about: "our server, by grpcurl and what reflection tells it",
  prepare: () => installTools("grpcurl", "grpc-go-server"),
  run: async (programs) => {
    const certificates = testCertificates(programs["grpc-go-server"]);
    const plain = await withEchoServer(undefined, (address) =>
      runCommandCases(programs.grpcurl, grpcurlCases(address, ["-plaintext"])),
    );
    const encrypted = await withEchoServer(certificates, (address) =>
      runCommandCases(programs.grpcurl, tlsCases(address, certificates)),
    );
    return [...plain, ...encrypted];
  },
};

/** What Kubernetes' probes were before it had its own. */
export const healthProbe: Suite = {
  name: "grpc-health-probe",
  about: "our server's grpc.health.v1, by grpc-health-probe",
  prepare: () => installTools("grpc-health-probe", "grpc-go-server"),
  run: async (programs) => {
    const certificates = testCertificates(programs["grpc-go-server"]);
    const program = programs["grpc-health-probe"];
    const plain = await withEchoServer(undefined, async (address) =>
      runCommandCases(program, probeCases(`-addr=${address}`)),
    );
    const encrypted = await withEchoServer(certificates, (address) =>
      runCommandCases(program, probeTlsCases(`-addr=${address}`, certificates)),
    );
    return [...plain, ...encrypted];
  },
};

const SERVICES = [
  "grpc.health.v1.Health",
  "grpc.reflection.v1.ServerReflection",
  "grpc.reflection.v1alpha.ServerReflection",
  "peer.v1.Echo",
] as const;
const METHODS = ["BidiStream", "ClientStream", "Fail", "Headers", "ServerStream", "Slow", "Unary"];
/** `hello` in base64. */
const PAYLOAD = "aGVsbG8=";

function grpcurlCases(address: string, flags: readonly string[]): readonly CommandCase[] {
  const call = (method: string, request: string, ...more: readonly string[]): readonly string[] => [
    ...flags,
    ...more,
    "-d",
    request,
    address,
    method,
  ];
  const one = `{"payload":"${PAYLOAD}"}`;
  return [
    { id: "list", args: [...flags, address, "list"], check: writesLines(...SERVICES) },
    {
      id: "list a service",
      args: [...flags, address, "list", "peer.v1.Echo"],
      check: writesLines(...METHODS.map((name) => `peer.v1.Echo.${name}`)),
    },
    {
      id: "describe a service",
      args: [...flags, address, "describe", "peer.v1.Echo"],
      check: writes("rpc BidiStream ( stream .peer.v1.EchoRequest ) returns ( stream .peer.v1.EchoResponse );"),
    },
    {
      id: "describe a message",
      args: [...flags, address, "describe", ".peer.v1.StreamRequest"],
      check: writes("uint32 payload_bytes = 2;", ".peer.v1.FailRequest end_with = 4;"),
    },
    {
      id: "describe an unknown symbol",
      args: [...flags, address, "describe", "peer.v1.Nothing"],
      exitCode: 1,
      check: complains("Symbol not found: peer.v1.Nothing"),
    },
    { id: "unary", args: call("peer.v1.Echo/Unary", one), check: writesJson({ payload: PAYLOAD, serverId: "echo" }) },
    {
      id: "server stream",
      args: call("peer.v1.Echo/ServerStream", '{"count":3}'),
      check: writesJson({ serverId: "echo" }, { serverId: "echo", sequence: 1 }, { serverId: "echo", sequence: 2 }),
    },
    {
      id: "client stream",
      args: call("peer.v1.Echo/ClientStream", `${one} ${one}`),
      check: writesJson({ payload: "aGVsbG9oZWxsbw==", serverId: "echo", sequence: 2 }),
    },
    {
      id: "bidirectional stream",
      args: call("peer.v1.Echo/BidiStream", `${one} {}`),
      check: writesJson({ payload: PAYLOAD, serverId: "echo" }, { serverId: "echo", sequence: 1 }),
    },
    {
      id: "metadata both ways",
      args: call(
        "peer.v1.Echo/Headers",
        '{"response_trailers":{"x-tail":{"values":["dG9sZA=="]}}}',
        "-v",
        "-H",
        "x-word: one",
      ),
      check: writes("x-tail: told", '"x-word": {'),
    },
    {
      id: "a status with details",
      args: call("peer.v1.Echo/Fail", '{"code":3,"message":"wrong","violations":[{"field":"a","description":"b"}]}'),
      exitCode: 64 + 3,
      check: complains("Code: InvalidArgument", "Message: wrong", "google.rpc.BadRequest", '"CgYKAWESAWI="'),
    },
    {
      id: "a deadline",
      args: call("peer.v1.Echo/Slow", '{"sleep_ms":60000}', "-max-time", "0.3"),
      exitCode: 64 + 4,
      check: complains("Code: DeadlineExceeded"),
    },
    {
      id: "a method that is not there",
      args: call("peer.v1.Echo/Nothing", "{}"),
      exitCode: 1,
      check: complains('service "peer.v1.Echo" does not include a method named "Nothing"'),
    },
    ...["v1", "v1alpha"].map((version) => ({
      id: `reflection ${version}, called by hand`,
      args: call(`grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`, '{"list_services":"*"}'),
      check: writes('"name": "peer.v1.Echo"'),
    })),
    {
      id: "health by reflection",
      args: call("grpc.health.v1.Health/Check", '{"service":"peer.v1.Paused"}'),
      check: writesJson({ status: "NOT_SERVING" }),
    },
  ];
}

function tlsCases(address: string, { ca, serverName }: TestCertificates): readonly CommandCase[] {
  const flags = ["-cacert", ca, "-authority", serverName];
  return [
    { id: "list over TLS", args: [...flags, address, "list"], check: writesLines(...SERVICES) },
    {
      id: "unary over TLS",
      args: [...flags, "-d", `{"payload":"${PAYLOAD}"}`, address, "peer.v1.Echo/Unary"],
      check: writesJson({ payload: PAYLOAD, serverId: "echo" }),
    },
    {
      id: "a certificate that is not trusted",
      args: ["-authority", serverName, address, "list"],
      exitCode: 1,
      check: complains("certificate signed by unknown authority"),
    },
  ];
}

/** Exit codes of grpc-health-probe: 2 no connection, 3 no answer, 4 an answer that is not SERVING. */
function probeCases(address: string): readonly CommandCase[] {
  return [
    { id: "the whole", args: [address], check: complains("status: SERVING") },
    { id: "a service", args: [address, "-service=peer.v1.Echo"], check: complains("status: SERVING") },
    {
      id: "a service that does not serve",
      args: [address, "-service=peer.v1.Paused"],
      exitCode: 4,
      check: complains('(responded with "NOT_SERVING")'),
    },
    {
      id: "a service that is not there",
      args: [address, "-service=peer.v1.Nothing"],
      exitCode: 3,
      check: complains("NotFound"),
    },
    { id: "compressed", args: [address, "-gzip"], check: complains("status: SERVING") },
    { id: "TLS to a server without it", args: [address, "-tls", "-tls-no-verify"], exitCode: 2 },
  ];
}

function probeTlsCases(address: string, { ca, serverName }: TestCertificates): readonly CommandCase[] {
  const flags = [address, "-tls", `-tls-ca-cert=${ca}`];
  return [
    { id: "over TLS", args: [...flags, `-tls-server-name=${serverName}`], check: complains("status: SERVING") },
    { id: "over TLS to another name", args: [...flags, "-tls-server-name=other.example"], exitCode: 2 },
  ];
}

async function withEchoServer(
  certificates: TestCertificates | undefined,
  run: (address: string) => Promise<CaseResult[]>,
): Promise<CaseResult[]> {
  const tls = certificates === undefined ? [] : ["--cert", certificates.certificate, "--key", certificates.key];
  const server = new Child(ownProgram("echo-server", tls));
  try {
    const { addr } = await server.next("ready");
    return await run(String(addr));
  } finally {
    await server.stop();
  }
}
