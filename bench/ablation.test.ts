import { createClient, createServer } from "bowline";
import { expect, it } from "vitest";
import { CLIENT_LAYERS, SERVER_LAYERS } from "./ablation.ts";
import { EchoService } from "./peers/bowline/echo-service.ts";

const names = (description: string): string[] => description.split("\n").map((line) => line.split("  ")[0]);

it("knows every layer that can be left out", async () => {
  const client = createClient(EchoService, "127.0.0.1:1", { without: CLIENT_LAYERS });
  expect(names(client.describe())).toEqual(["pick", "transport"]);
  await client.close();
  const server = createServer({ without: SERVER_LAYERS, handleSignals: false });
  expect(names(server.describe())).toEqual(["recover", "handler"]);
  await server.close();
});
