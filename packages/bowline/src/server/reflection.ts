import type { Router } from "./router.ts";

/** Adds grpc.reflection v1 and v1alpha to a server. */
export function addReflection(_router: Router): void {}
