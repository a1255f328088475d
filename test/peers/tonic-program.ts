import { fileURLToPath } from "node:url";
import { attempt } from "./attempt.ts";

/** Why {@link buildTonicPeer} gives nothing, for reports. */
export const TONIC_PEER_MISSING =
  "test/peers/rust/build failed: it needs cargo on PATH and, the first time, its registry";

/** Builds the program of test/peers/rust if need be and returns its path; undefined where that can't be done. */
export function buildTonicPeer(): string | undefined {
  return attempt("sh", [fileURLToPath(new URL("./rust/build", import.meta.url))]);
}
