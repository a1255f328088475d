import { staticTypes } from "../../libraries/protobufjs.ts";
import type { CallKind } from "../../messages/answers.ts";

/** A method of bench.v1.Bench with protobufjs's generated code, the fastest that can be given to grpc-js. */
export interface BenchMethod {
  readonly path: string;
  readonly serialize: (message: object) => Buffer;
  readonly deserialize: (bytes: Buffer) => object;
}

/** The method that takes messages of a kind. `generateProtobufjs` must have run. */
export function benchMethod(kind: CallKind): BenchMethod {
  const name = kind === "tiny" ? "Tiny" : "Order";
  const type = staticTypes().lookup(`bench.v1.${name}`);
  return {
    path: `/bench.v1.Bench/Echo${name}`,
    serialize: (message) => type.encode(message).finish() as Buffer,
    deserialize: (bytes) => type.decode(bytes),
  };
}
