import type { FuzzTarget } from "../engine/fuzz-target.ts";

/** Makes each target, by its name. What it reads with is loaded then: coverage counts best what runs for the first time. */
export const TARGETS: Readonly<Record<string, () => Promise<FuzzTarget>>> = {
  hpack: async () => (await import("./hpack.ts")).hpackTarget(),
  frames: async () => (await import("./frames.ts")).framesTarget(),
  "node-http2": async () => (await import("./node-http2.ts")).nodeHttp2Target(),
  codec: async () => (await import("./codec.ts")).codecTarget(),
  "codec-differential": async () => (await import("./codec-differential.ts")).codecDifferentialTarget(),
  json: async () => (await import("./json.ts")).jsonTarget(),
  envelope: async () => (await import("./envelope.ts")).envelopeTarget(),
  "header-text": async () => (await import("./protocol-text.ts")).protocolTextTarget(),
  address: async () => (await import("./address.ts")).addressTarget(),
  server: async () => (await import("./server.ts")).serverTarget(),
  client: async () => (await import("./client.ts")).clientTarget(),
};
