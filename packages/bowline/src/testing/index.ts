/**
 * `bowline/testing`: tools for tests of services and of Bowline itself. Nothing here is for production.
 *
 * - {@link inMemory}: a service and its client joined in memory, in one line
 * - {@link memoryNetwork}: many servers and clients without a port, with delays, splits, freezes, resets and refusals
 * - {@link memoryRegistry}: a registry in which they find each other
 * - {@link VirtualClock}: time that moves only when told; pass it wherever a `clock` is taken
 * - {@link RawPeer}: an HTTP/2 peer that says what a script tells it to, legal or not
 * - {@link seededRandom}: chance that a seed repeats
 * - {@link memoryLinkPair}: the two ends of one connection, for tests below servers and clients
 */
export type { Link, LinkHandler, LinkPeer } from "../http2/link.ts";
export type { DialOptions } from "../net/dial.ts";
export { DialError, type DialErrorKind } from "../net/dial-error.ts";
export { ListenError, type ListenErrorKind } from "../net/listen-error.ts";
export type { Listener, ListenOptions, ListenTarget } from "../net/listener.ts";
export { type Network, socketNetwork } from "../net/network.ts";
export { type Clock, systemClock, type Timer } from "../rpc/clock.ts";
export { type Random, seededRandom } from "../rpc/random.ts";
export { type InMemory, type InMemoryOptions, inMemory, type LogLine } from "./in-memory.ts";
export type { LineControl, LineFaults } from "./link-line.ts";
export { type MemoryLink, type MemoryLinkOptions, memoryLinkPair } from "./memory-link.ts";
export { type MemoryRegistry, memoryRegistry } from "./memory-registry.ts";
export type { FaultLink } from "./network/fault-link.ts";
export { type MemoryNetwork, type MemoryNetworkOptions, memoryNetwork } from "./network/memory-network.ts";
export type { NetworkFaults } from "./network/place.ts";
export type { RawListener, RawScript } from "./network/raw-listener.ts";
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
