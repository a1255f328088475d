// Calls of Bowline that stay open, each with a deadline.
import { createClient } from "bowline";
import { runOpenClient } from "../../harness/memory/open-client.ts";
import { checkEcho, ECHO_MESSAGE, SLOW_MESSAGE } from "../echo.ts";
import { EchoService } from "./echo-service.ts";

let connections = 0;

await runOpenClient(process.argv[2], async (address) => {
  // Clients of one target share its connection unless their settings differ.
  const client = createClient(EchoService, address, { idleTimeoutMs: 1_800_000 + connections++ });
  checkEcho(await client.unary(ECHO_MESSAGE));
  return () => {
    client.slow(SLOW_MESSAGE, { timeoutMs: 600_000 }).catch(() => {});
  };
});
