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
