import assert from "node:assert/strict";
import { bytesCodec, type Client, createClient, type Method, type Service } from "bowline";

/** One method of a service without generated code: messages are bytes. */
function bytesMethod(typeName: string, name: string, kind: Method["kind"]): Method {
  return {
    name,
    localName: name.charAt(0).toLowerCase() + name.slice(1),
    kind,
    path: `/${typeName}/${name}`,
    idempotency: "none",
    input: bytesCodec,
    output: bytesCodec,
  };
}

interface HealthBytes {
  check(request: Uint8Array): Promise<Uint8Array>;
}

interface ReflectionBytes {
  serverReflectionInfo(requests: Iterable<Uint8Array>): AsyncIterable<Uint8Array>;
}

const Health: Service<HealthBytes> = {
  typeName: "grpc.health.v1.Health",
  methods: { check: bytesMethod("grpc.health.v1.Health", "Check", "unary") },
};

const Reflection: Service<ReflectionBytes> = {
  typeName: "grpc.reflection.v1.ServerReflection",
  methods: {
    serverReflectionInfo: bytesMethod("grpc.reflection.v1.ServerReflection", "ServerReflectionInfo", "bidi-stream"),
  },
};

/** `HealthCheckResponse { status: SERVING }` */
const SERVING = Uint8Array.of(0x08, 0x01);
/** `ServerReflectionRequest { list_services: "*" }` */
const LIST_SERVICES = Uint8Array.of(0x3a, 0x01, 0x2a);

/** Asks for health and by reflection for `typeName`: what a server loads only when it starts. */
export async function callBuiltIns(target: string, typeName: string): Promise<void> {
  const health: Client<HealthBytes> = createClient(Health, target);
  const reflection: Client<ReflectionBytes> = createClient(Reflection, target);
  try {
    assert.deepEqual(Uint8Array.from(await health.check(new Uint8Array(0))), SERVING);
    let listed = "";
    for await (const answer of reflection.serverReflectionInfo([LIST_SERVICES])) {
      listed += new TextDecoder().decode(answer);
    }
    assert.ok(listed.includes(typeName), "reflection does not list the service");
  } finally {
    await health.close();
    await reflection.close();
  }
}
