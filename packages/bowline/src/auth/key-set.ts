import { createPublicKey, type JsonWebKey } from "node:crypto";
import type { Clock } from "../rpc/clock.ts";
import { uncheckable } from "./authenticator.ts";

/** Public keys, as JSON Web Key Sets have them (RFC 7517 §5). */
export interface JsonWebKeySet {
  readonly keys: readonly Readonly<Record<string, unknown>>[];
}

/** Time for the issuer. Less than a server's calls have for being authenticated: they may go on with the keys that are there. */
const TIMEOUT_MS = 3000;
const MAX_BYTES = 1_048_576;
/** Kinds of keys that sign tokens; a set may hold others. */
const SIGNING: readonly unknown[] = ["EC", "RSA", "OKP"];
/** RFC 7518 §3.3. */
const MIN_RSA_BITS = 2048;

/** @throws TypeError naming the key that no token can be verified with, or that must not be here; none is shown */
export function checkKeySet(option: string, { keys }: JsonWebKeySet): void {
  if (!Array.isArray(keys) || keys.length === 0) {
    throw new TypeError(`${option}.keys is no list of keys, or empty: give the public keys of the issuer`);
  }
  keys.forEach((key: unknown, index) => {
    const fault = faultOf(key);
    if (fault !== null) throw new TypeError(`${option}.keys[${index}] ${fault}`);
  });
}

function faultOf(key: unknown): string | null {
  if (typeof key !== "object" || key === null) return "is no JSON Web Key: give an object";
  const { kty, use, d } = key as Readonly<Record<string, unknown>>;
  if (kty === "oct" || d !== undefined) return "is secret: give the public key, which can only verify";
  if (!SIGNING.includes(kty) || use === "enc") return null;
  try {
    const { asymmetricKeyDetails: details } = createPublicKey({ key: key as JsonWebKey, format: "jwk" });
    const bits = details?.modulusLength ?? MIN_RSA_BITS;
    return bits < MIN_RSA_BITS ? `has ${bits} bits: RSA needs ${MIN_RSA_BITS}` : null;
  } catch (error) {
    return `can't be used (${nameOf(error)}): give it as the issuer publishes it`;
  }
}

/** The key set that an issuer publishes. Rejects with what may be logged. */
export async function fetchKeySet(url: URL, clock: Clock): Promise<unknown> {
  const controller = new AbortController();
  const timer = clock.setTimeout(() => controller.abort(), TIMEOUT_MS);
  try {
    const headers = { accept: "application/json, application/jwk-set+json" };
    const response = await fetch(url, { headers, redirect: "manual", signal: controller.signal });
    if (response.status !== 200) throw noKeys(url, `it answered with status ${response.status}`);
    return JSON.parse(await textOf(url, response));
  } catch (error) {
    if (controller.signal.aborted) throw noKeys(url, `it gave nothing within ${TIMEOUT_MS} ms`, error);
    throw error instanceof Error && "safeText" in error ? error : noKeys(url, nameOf(error), error);
  } finally {
    timer.cancel();
    // An answer that was not read to its end gives its connection back.
    controller.abort();
  }
}

async function textOf(url: URL, { body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let left = MAX_BYTES;
  for await (const chunk of body ?? []) {
    left -= chunk.length;
    if (left < 0) throw noKeys(url, "it sent more than 1 MiB");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** Where keys come from, for logs: a query may have a secret. */
export function placeOf(url: URL): string {
  return url.origin + url.pathname;
}

function noKeys(url: URL, why: string, cause?: unknown): Error {
  return uncheckable(`the keys of ${placeOf(url)} can't be had: ${why}`, cause);
}

/** An error's code, which says most, or its name; never its message. */
export function nameOf(error: unknown): string {
  const { code, name, cause } = (error ?? {}) as { readonly [key in "code" | "name" | "cause"]?: unknown };
  const causeCode = (cause as { readonly code?: unknown } | null | undefined)?.code;
  const isWord = (each: unknown): each is string => typeof each === "string" && /^\w{1,60}$/.test(each);
  return [causeCode, code, name].find(isWord) ?? "an unknown error";
}
