// Bowline as it comes, everything on.
import { createServer } from "bowline";
import { announce } from "../../test/peers/peer-lines.ts";
import { EchoService } from "./bowline-echo.ts";

const server = createServer({ name: "bench", listen: "127.0.0.1:0", handleSignals: false });
server.add(EchoService, { unary: async (message) => message });
await server.start();
announce({ addr: server.address });
