import { fileURLToPath } from "node:url";
import { attempt } from "./attempt.ts";

/** The programs of test/peers/go. */
export type GoProgram = "grpcgo-server" | "grpcgo-client" | "gozero-server" | "gozero-client" | "gozero-ring";

/** Why {@link buildGoPrograms} gives nothing, for reports. */
export const GO_PROGRAMS_MISSING =
  "test/peers/go/build failed: it needs Go 1.26 on PATH and, the first time, its module proxy";

/** Builds Go peers if need be and returns the folder they are in; undefined where that can't be done. */
export function buildGoPrograms(...programs: readonly GoProgram[]): string | undefined {
  return attempt("sh", [fileURLToPath(new URL("./go/build", import.meta.url)), ...programs]);
}
