import type { HttpAnswer } from "../http/http-request.ts";
import type { CheckedConsulOptions } from "./options.ts";

/** All instances of a service, as Consul gives them. */
export interface HealthAnswer {
  readonly entries: readonly unknown[];
  /** `X-Consul-Index`, an unsigned number of 64 bits in decimal; `0` if the answer has none that can be used. */
  readonly index: string;
  /** `X-Consul-Query-Backend` is `streaming`: the answer does not say whether there is a leader. */
  readonly isStreamed: boolean;
  /** `X-Consul-KnownLeader`: false where the server that answered may be cut off from the others. */
  readonly knowsLeader: boolean;
  /** `X-Consul-Results-Filtered-By-ACLs`: entries were left out that the token may not see. */
  readonly isFiltered: boolean;
  /** `X-Consul-Default-ACL-Policy` denies, and there is no token: then Consul does not say whether it has left something out. */
  readonly isAnonymous: boolean;
}

/** What the headers of an answer say of it. */
export function stateOf({ headers }: HttpAnswer, options: CheckedConsulOptions): Omit<HealthAnswer, "entries"> {
  const {
    "x-consul-query-backend": backend,
    "x-consul-knownleader": leader,
    "x-consul-results-filtered-by-acls": filtered,
    "x-consul-default-acl-policy": policy,
  } = headers;
  return {
    index: indexOf(headers),
    isStreamed: backend === "streaming",
    // An agent that answers from its own stream of changes does not fill it in.
    knowsLeader: leader !== "false" || backend === "streaming",
    isFiltered: filtered === "true",
    isAnonymous: policy === "deny" && options.token === undefined && options.tokenFile === undefined,
  };
}

/** `0` without one that can be used. */
export function indexOf({ "x-consul-index": index }: HttpAnswer["headers"]): string {
  return typeof index === "string" && /^[0-9]{1,20}$/.test(index) ? index : "0";
}

/** What to change when an agent refuses with this status, null for any, and this text; the first that fits. */
const ADVICE: readonly (readonly [status: number | null, text: RegExp, advice: string])[] = [
  [
    403,
    /ACL not found|token does not exist/i,
    "this cluster does not know the token; set consul(…).token to one that it has",
  ],
  [
    403,
    /(?:)/,
    "the token may not do this; give it service:write for what it registers, service:read and node:read for what it watches, or set consul(…).token",
  ],
  [401, /(?:)/, "set consul(…).token"],
  [
    429,
    /(?:)/,
    "the agent is asked too often or on too many connections; raise http_max_conns_per_client there or lower consul(…).maxConnections",
  ],
  [400, /HTTP request to an HTTPS server/, "set consul(…).tls, or write https:// before the host"],
  [null, /No path to datacenter/i, "set consul(…).datacenter to one that this agent can reach"],
  [null, /No cluster leader/i, "its servers have no leader at present; it goes on by itself when they have"],
  [null, /Permission denied/i, "set consul(…).token to one that may do this"],
  [
    null,
    /invalid query parameter.*(ns|namespace|partition)/i,
    "this Consul has no namespaces or partitions; leave the option out",
  ],
];

/** Ends the message of an answer with this status and text; undefined where there is nothing to say. */
export function advice(status: number, text: string): string | undefined {
  return ADVICE.find(([each, pattern]) => (each === null || each === status) && pattern.test(text))?.[2];
}
