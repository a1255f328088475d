import type { DiscoveryState } from "../discovery/discovery.ts";
import type { Endpoint } from "./endpoint.ts";
import type { EndpointSetState } from "./endpoint-set.ts";

/** What there is to know of a channel for the words about it. */
export interface ChannelFacts {
  readonly target: string;
  readonly isReady: boolean;
  readonly endpoints: readonly Endpoint[];
  readonly set: EndpointSetState;
  readonly discovery: DiscoveryState;
  /** Why the last connection failed, if one did. */
  readonly lastError: Error | null;
  /** Why instances are left out, if some are. */
  readonly whySkipped: string;
}

/** What a call that has no endpoint is waiting for, in words; with where the endpoints are from when the registry doesn't say so now. */
export function waitingWords(facts: ChannelFacts): string {
  const { target, endpoints, discovery } = facts;
  if (endpoints.length === 0) {
    if (discovery.unusable) return `${target} can't be looked up${because(discovery)}`;
    if (discovery.freshness === "none") return `${target} is not resolved yet${because(discovery)}`;
    if (discovery.skipped > 0)
      return `none of the ${discovery.skipped} instances of ${target} can be reached: ${facts.whySkipped}`;
    return `${target} has no instances${origin(discovery)}`;
  }
  return `${connectionWords(facts)}${origin(discovery)}`;
}

function connectionWords({ target, isReady, endpoints, set, lastError }: ChannelFacts): string {
  if (isReady) {
    const isFull = endpoints.every((endpoint) => !endpoint.isReady);
    return isFull ? `all connections to ${target} have as many calls as they may` : "no instance was free in time";
  }
  if (lastError !== null) return `no connection to ${target}: ${lastError.message}`;
  if (set === "empty") return `all instances of ${target} have the weight 0`;
  return `still connecting to ${target}${addressWords(target, endpoints)}`;
}

/** Which address does not answer: a target that a registry resolves does not say it. */
function addressWords(target: string, endpoints: readonly Endpoint[]): string {
  const tried = endpoints.filter(({ connectionState }) => connectionState === "connecting");
  if (tried.length === 0 || target.includes(tried[0].address)) return "";
  return ` at ${tried[0].address}${tried.length === 1 ? "" : ` and ${tried.length - 1} more`}`;
}

/** Where the endpoints are from, how old that is and why; nothing while the registry is live. */
function origin(discovery: DiscoveryState): string {
  const { freshness, ageMs } = discovery;
  if (freshness === "live") return "";
  if (ageMs === null) return ` (known from before; the registry has not answered yet${because(discovery)})`;
  const from = freshness === "disk" ? "a snapshot on disk" : "the registry";
  return ` (known from ${from} ${durationWords(ageMs)} ago${because(discovery)})`;
}

function because({ error }: DiscoveryState): string {
  return error === null ? "" : `: ${error.message}`;
}

/** `42 s`, `7 min`, `3 h`, `2 days`: as exact as matters. */
export function durationWords(ms: number): string {
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return ms < 172_800_000 ? `${Math.round(ms / 3_600_000)} h` : `${Math.round(ms / 86_400_000)} days`;
}

/** Endpoints that are written down; suspects and those that fail come first. */
const MAX_LINES = 50;

/** A channel as text for people: the target and what is known of it, then a line for each endpoint. */
export function channelDescription(
  target: string,
  state: string,
  discovery: DiscoveryState,
  endpoints: readonly Endpoint[],
  nowMs: number,
): string {
  const { freshness, revision, frozen, suspects, skipped, unreadable } = discovery;
  const from = endpoints.length > 0 ? origin(discovery) : because(discovery);
  const parts = [`${endpoints.length} endpoints`];
  if (suspects > 0) parts.push(`${suspects} suspect`);
  if (skipped > 0) parts.push(`${skipped} instances skipped`);
  if (unreadable > 0) parts.push(`${unreadable} entries that can't be read`);
  if (frozen) parts.push("frozen: most vanished at once");
  const rank = (endpoint: Endpoint): number => (endpoint.suspicion !== null ? 0 : endpoint.isUnreachable ? 1 : 2);
  const lines = [...endpoints].sort((a, b) => rank(a) - rank(b)).slice(0, MAX_LINES);
  const rest = endpoints.length - lines.length;
  return [
    `${target}  ${state}, ${freshness} at revision ${revision}${from}; ${parts.join(", ")}`,
    ...lines.map((endpoint) => `  ${line(endpoint, nowMs)}`),
    ...(rest > 0 ? [`  and ${rest} more`] : []),
  ].join("\n");
}

function line(endpoint: Endpoint, nowMs: number): string {
  const { id, connectionState, weight, zone, version, inFlight, streaming, suspicion, isDraining, lastError } =
    endpoint;
  const parts = [`${id}  ${connectionState}`, `${inFlight} calls`];
  if (streaming > 0) parts.push(`${streaming} of them ${streaming === 1 ? "a stream" : "streams"}`);
  if (weight !== 1) parts.push(`weight ${weight}`);
  if (zone !== "") parts.push(`zone ${zone}`);
  if (version !== "") parts.push(`version ${version}`);
  if (isDraining) parts.push("draining");
  if (suspicion !== null) parts.push(`suspect for ${durationWords(nowMs - suspicion.sinceMs)}: ${suspicion.why}`);
  if (lastError !== null) parts.push(lastError.message);
  return parts.join(", ");
}
