// Bowline as it comes, everything on: each call has a deadline that differs from the one before, and a trace of its own.
import { createClient } from "bowline";
import { runLoadClient } from "../harness/load-client.ts";
import { EchoService } from "./bowline-echo.ts";
import { checkEcho, ECHO_MESSAGE } from "./echo.ts";

await runLoadClient(async (address) => {
  const client = createClient(EchoService, address);
  checkEcho(await client.unary(ECHO_MESSAGE));
  let calls = 0;
  return (slot) => {
    calls = (calls + 1) & 0xfff;
    client.unary(ECHO_MESSAGE, { timeoutMs: 2000 + calls }).then(slot.resolved, slot.rejected);
  };
});
