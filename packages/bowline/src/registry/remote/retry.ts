import type { RetryBackoffOptions } from "../../resilience/backoff.ts";

/**
 * How one who has lost a registry gets it back, with full jitter: 5 s at most, as Nacos's own clients do it and about a heartbeat of each
 * product. What was lost is then back about as soon as it would have been renewed.
 */
export const LOST_RETRY: Required<RetryBackoffOptions> = { baseMs: 500, maxMs: 5000 };

/** What is to go is tried more often: what comes back before it is taken out would be called. */
export const REMOVE_RETRY: Required<RetryBackoffOptions> = { baseMs: 250, maxMs: 250 };

/** What settings are to blame for is mended by people. */
export const REFUSED_RETRY: Required<RetryBackoffOptions> = { baseMs: 15_000, maxMs: 15_000 };
