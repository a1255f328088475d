import { describe, expect, it } from "vitest";
import { useScenes } from "../../test/server/server-scene.ts";
import { echo, TextService } from "../../test/server/text-service.ts";
import type { Service } from "../rpc/method.ts";
import { createServer } from "./create-server.ts";

const scenes = useScenes();

function add(service: unknown, handlers: unknown): () => unknown {
  return () => createServer().add(service as Service<unknown, object>, handlers as object);
}

describe("server.add", () => {
  it("refuses what is no generated service", () => {
    const text = "server.add: the first argument must be a generated service, such as UserService of user_rpc.ts";
    for (const wrong of [undefined, null, "user.v1.UserService", {}, { typeName: "a" }]) {
      expect(add(wrong, echo)).toThrow(new TypeError(text));
    }
  });

  it("refuses what is no object of handlers", () => {
    for (const wrong of [undefined, null, "x", () => {}]) {
      expect(add(TextService, wrong)).toThrow(
        new TypeError("server.add(text.v1.Text): the second argument must be an object of handlers"),
      );
    }
  });

  it("names a handler that is missing, or is none", () => {
    const { say: _say, ...rest } = echo;
    expect(add(TextService, rest)).toThrow(
      new TypeError("server.add(text.v1.Text): the handler say of method Say is missing"),
    );
    expect(add(TextService, { ...echo, join: "x" })).toThrow(
      new TypeError("server.add(text.v1.Text): the handler join of method Join is string, not a function"),
    );
  });

  it("names a handler that belongs to no method, with the nearest that does", () => {
    expect(add(TextService, { ...echo, repaet: echo.repeat })).toThrow(
      new TypeError('server.add(text.v1.Text): there is no method "repaet"; did you mean repeat?'),
    );
    expect(add(TextService, { ...echo, somethingElse: () => {} })).toThrow(
      new TypeError(
        'server.add(text.v1.Text): there is no method "somethingElse"; its methods are say, repeat, join, chat',
      ),
    );
  });

  it("refuses a service that was added before", () => {
    const server = createServer().add(TextService, echo);
    expect(() => server.add(TextService, echo)).toThrow(
      new TypeError("server.add(text.v1.Text): this service was added before"),
    );
  });

  it("refuses what the server brings itself, unless that was left out", () => {
    const own = { ...TextService, typeName: "grpc.health.v1.Health" };
    expect(() => createServer().add(own, echo)).toThrow(
      new TypeError(
        "server.add(grpc.health.v1.Health): the server has it already; set health: false to bring your own",
      ),
    );
    expect(createServer({ health: false }).add(own, echo).state).toBe("new");
  });

  it("comes before start", async () => {
    const { server } = await scenes.start();
    expect(() => server.add(TextService, echo)).toThrow(
      new Error("server.add(text.v1.Text): add services before start()"),
    );
  });
});
