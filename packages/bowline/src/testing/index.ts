/**
 * `bowline/testing`: tools for tests of services and of Bowline itself. Nothing here is for production.
 *
 * - {@link VirtualClock}: time that moves only when told; pass it wherever a `clock` is taken
 * - {@link memoryLinkPair}: two ends of a connection in memory, with delays, splits, freezes and resets
 * - {@link RawPeer}: an HTTP/2 peer that says what a script tells it to, legal or not
 * - {@link seededRandom}: chance that a seed repeats
 */
export { seededRandom } from "../rpc/random.ts";
export { MemoryLink, type MemoryLinkOptions, memoryLinkPair } from "./memory-link.ts";
export type { RawFrame } from "./raw-frame-parser.ts";
export {
  grpcMessage,
  grpcRequestFields,
  grpcResponseFields,
  PREFACE,
  RawFlag,
  type RawFrameName,
  type RawHeadersOptions,
  RawSetting,
  rawContinuation,
  rawData,
  rawFrame,
  rawGoaway,
  rawHeaders,
  rawPing,
  rawReset,
  rawSettings,
  rawWindowUpdate,
} from "./raw-frames.ts";
export { encodeLiterals, type HeaderList, RawHpackDecoder } from "./raw-hpack.ts";
export { RawPeer, type RawPeerOptions } from "./raw-peer.ts";
export { settle, VirtualClock } from "./virtual-clock.ts";
