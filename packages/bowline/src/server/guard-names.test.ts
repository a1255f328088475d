import { expect, it } from "vitest";
import { bearer } from "../auth/bearer.ts";
import { createServer } from "./create-server.ts";

const NOW = bearer({ verify: () => null });

it.each([
  "IP Address:10.0.0.7",
  "DNS:a.b",
  "URI:spiffe://shop/user",
  "email:a@b",
  "Registered ID:1.2.3",
  "own-scheme:x",
])("rules may be about %s", (name) => {
  expect(() => createServer({ authenticate: { by: NOW, allow: { "*": [name] } } })).not.toThrow();
});
