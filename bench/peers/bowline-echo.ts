import { bytesCodec, type CallOptions, type Service } from "bowline";
import { ECHO_PATH } from "./echo.ts";

interface EchoClient {
  unary(message: Uint8Array, options?: CallOptions): Promise<Uint8Array>;
}

interface EchoHandlers {
  unary(message: Uint8Array): Uint8Array | Promise<Uint8Array>;
}

/** peer.v1.Echo without its messages: bytes both ways, as the other peers have them. */
export const EchoService: Service<EchoClient, EchoHandlers> = {
  typeName: "peer.v1.Echo",
  methods: {
    unary: {
      name: "Unary",
      localName: "unary",
      kind: "unary",
      path: ECHO_PATH,
      idempotency: "unknown",
      input: bytesCodec,
      output: bytesCodec,
    },
  },
};
