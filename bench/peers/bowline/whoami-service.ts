import { bytesCodec, type CallOptions, type Service } from "bowline";

/** What calls of `bench.discovery.WhoAmI` look like. */
export interface WhoAmIClient {
  ask(message: Uint8Array, options?: CallOptions): Promise<Uint8Array>;
}

/** What a server of it answers: its own id. */
export interface WhoAmIHandlers {
  ask(message: Uint8Array): Promise<Uint8Array>;
}

/** One idempotent method whose answer tells which server it came from. */
export const WhoAmI: Service<WhoAmIClient, WhoAmIHandlers> = {
  typeName: "bench.discovery.WhoAmI",
  methods: {
    ask: {
      name: "Ask",
      localName: "ask",
      kind: "unary",
      path: "/bench.discovery.WhoAmI/Ask",
      idempotency: "idempotent",
      input: bytesCodec,
      output: bytesCodec,
    },
  },
};
