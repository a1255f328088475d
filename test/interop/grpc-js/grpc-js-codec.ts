import type { MethodDefinition } from "@grpc/grpc-js";
import type { Method } from "bowline";

/** A method of Bowline's generated code as grpc-js wants it: the same messages, encoded by the same codecs. */
export function grpcJsMethod(method: Method): MethodDefinition<unknown, unknown> {
  const { input, output, kind, path } = method;
  return {
    path,
    requestStream: kind === "client-stream" || kind === "bidi-stream",
    responseStream: kind === "server-stream" || kind === "bidi-stream",
    requestSerialize: (message) => encode(input, message),
    requestDeserialize: (bytes) => input.read(bytes, 0, bytes.length),
    responseSerialize: (message) => encode(output, message),
    responseDeserialize: (bytes) => output.read(bytes, 0, bytes.length),
  };
}

function encode(codec: Method["input"], message: unknown): Buffer {
  const bytes = Buffer.alloc(codec.measure(message));
  return bytes.subarray(0, codec.write(message, bytes, 0));
}
