import { HealthCheckResponse_ServingStatus as Serving } from "../../gen/grpc/health/v1/health_pb.ts";
import { Health as HealthRpc } from "../../gen/grpc/health/v1/health_rpc.ts";
import { Code } from "../../rpc/code.ts";
import { RpcError } from "../../rpc/rpc-error.ts";
import type { Router } from "../router.ts";
import type { ServerContext } from "../server-context.ts";
import type { Health, ServingStatus } from "./health.ts";

/** Longest list that is given, as in grpc-go. */
const MAX_LISTED = 100;

/** Adds grpc.health.v1 to a server, fed by `health` (grpc/doc/health-checking.md, gRFC A17 and A62). */
export function addHealth(router: Router, health: Health): void {
  router.add(HealthRpc, {
    check({ service }: { service: string }) {
      const status = health.get(service);
      if (status === undefined) throw new RpcError(Code.NOT_FOUND, `unknown service ${JSON.stringify(service)}`);
      return { status: statusNumber(status) };
    },
    list() {
      const { all } = health;
      if (all.size > MAX_LISTED) {
        throw new RpcError(
          Code.RESOURCE_EXHAUSTED,
          `the server has ${all.size} services, a list holds ${MAX_LISTED}; use Check`,
        );
      }
      return {
        statuses: Object.fromEntries([...all].map(([name, status]) => [name, { status: statusNumber(status) }])),
      };
    },
    watch: ({ service }: { service: string }, context: ServerContext) => watch(health, service, context.signal),
  });
}

/**
 * The status now and after each change; a service that does not exist is SERVICE_UNKNOWN until it does. After the last change of all,
 * which the server's stop is, the stream ends: else those who watch would hold the stop up.
 */
async function* watch(health: Health, service: string, signal: AbortSignal): AsyncGenerator<{ status: Serving }> {
  let wake = (): void => {};
  const stop = health.onChange(() => wake());
  const onAbort = (): void => wake();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    let told: Serving | undefined;
    while (!signal.aborted) {
      const changed = new Promise<void>((resolve) => {
        wake = resolve;
      });
      const status = statusNumber(health.get(service));
      if (status !== told) {
        told = status;
        yield { status };
      } else if (health.isStopped) {
        throw new RpcError(Code.UNAVAILABLE, "the server is shutting down", { reason: "closed" });
      } else {
        await changed;
      }
    }
  } finally {
    stop();
    signal.removeEventListener("abort", onAbort);
  }
}

function statusNumber(status: ServingStatus | undefined): Serving {
  if (status === undefined) return Serving.SERVICE_UNKNOWN;
  return status === "SERVING" ? Serving.SERVING : Serving.NOT_SERVING;
}
