import { create, createFileRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { useScenes } from "../../../test/server/server-scene.ts";
import { collect } from "../../../test/server/text-service.ts";
import { createClient } from "../../client/create-client.ts";
import type { ServerReflectionRequest, ServerReflectionResponse } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as V1 } from "../../gen/grpc/reflection/v1/reflection_rpc.ts";
import { ServerReflection as V1Alpha } from "../../gen/grpc/reflection/v1alpha/reflection_rpc.ts";
import { Code } from "../../rpc/code.ts";
import type { Service } from "../../rpc/method.ts";
import { createServer } from "../create-server.ts";
import type { Server } from "../server.ts";

const scenes = useScenes();

type Question = ServerReflectionRequest["messageRequest"];
type Answer = ServerReflectionResponse["messageResponse"];

/** A file with everything that can be asked for: `base.proto` is what it imports. */
const BASE = create(FileDescriptorProtoSchema, {
  name: "zoo/base.proto",
  package: "zoo",
  syntax: "proto2",
  messageType: [{ name: "Animal", extensionRange: [{ start: 100, end: 200 }] }],
});
const MAIN = create(FileDescriptorProtoSchema, {
  name: "zoo/main.proto",
  package: "zoo",
  syntax: "proto2",
  dependency: ["zoo/base.proto"],
  messageType: [
    {
      name: "Cage",
      field: [
        { name: "number", number: 1, type: Type.INT32, label: Label.OPTIONAL },
        { name: "size", number: 2, type: Type.INT32, label: Label.OPTIONAL, oneofIndex: 0 },
      ],
      oneofDecl: [{ name: "extent" }],
      nestedType: [{ name: "Lock", enumType: [{ name: "Kind", value: [{ name: "PADLOCK", number: 0 }] }] }],
      extension: [{ name: "inner", number: 101, type: Type.INT32, label: Label.OPTIONAL, extendee: ".zoo.Animal" }],
    },
  ],
  enumType: [{ name: "Mood", value: [{ name: "CALM", number: 0 }] }],
  extension: [{ name: "weight", number: 150, type: Type.INT32, label: Label.OPTIONAL, extendee: ".zoo.Animal" }],
  service: [{ name: "Keeper", method: [{ name: "Feed", inputType: ".zoo.Cage", outputType: ".zoo.Animal" }] }],
});
const Keeper: Service<object, object> = {
  typeName: "zoo.Keeper",
  methods: {},
  files: () => [MAIN, BASE].map((file) => toBinary(FileDescriptorProtoSchema, file)),
};

/** A scene whose server has the zoo too, which the scene's own text service (without files) is not. */
async function zoo(): Promise<Server> {
  const scene = scenes.make();
  scene.server.add(Keeper, {});
  await scene.server.start();
  return scene.server;
}

async function ask(server: Server, ...questions: Question[]): Promise<Answer[]> {
  const client = createClient(V1, server.address);
  try {
    const answers = await collect(client.serverReflectionInfo(questions.map((messageRequest) => ({ messageRequest }))));
    return answers.map((each) => each.messageResponse);
  } finally {
    await client.close();
  }
}

function fileNames(answer: Answer): string[] {
  if (answer.case !== "fileDescriptorResponse") throw new Error(`the answer is ${JSON.stringify(answer)}`);
  return answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name);
}

const symbol = (value: string): Question => ({ case: "fileContainingSymbol", value });
const extension = (containingType: string, extensionNumber: number): Question => ({
  case: "fileContainingExtension",
  value: { $typeName: "grpc.reflection.v1.ExtensionRequest", containingType, extensionNumber },
});

describe("reflection", () => {
  it("lists all services by name, those without descriptors and its own too", async () => {
    const [answer] = await ask(await zoo(), { case: "listServices", value: "*" });
    expect(answer.case === "listServicesResponse" && answer.value.service.map(({ name }) => name)).toEqual([
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
      "text.v1.Text",
      "zoo.Keeper",
    ]);
  });

  it("gives a file with all that it imports, so that types can be rebuilt", async () => {
    const [answer] = await ask(await zoo(), { case: "fileByFilename", value: "zoo/main.proto" });
    expect(fileNames(answer)).toEqual(["zoo/main.proto", "zoo/base.proto"]);
    const bytes = answer.case === "fileDescriptorResponse" ? answer.value.fileDescriptorProto : [];
    // Imports stand before what imports them in a set of files.
    const file = bytes.map((each) => fromBinary(FileDescriptorProtoSchema, each)).reverse();
    const registry = createFileRegistry(create(FileDescriptorSetSchema, { file }));
    expect(registry.getService("zoo.Keeper")?.method.feed.output.typeName).toBe("zoo.Animal");
    expect(registry.getExtension("zoo.weight")?.extendee.typeName).toBe("zoo.Animal");
  });

  const symbols = [
    "zoo.Keeper",
    "zoo.Keeper.Feed",
    "zoo.Cage",
    "zoo.Cage.number",
    "zoo.Cage.extent",
    "zoo.Cage.Lock",
    "zoo.Cage.Lock.Kind",
    "zoo.Cage.Lock.PADLOCK",
    "zoo.Cage.inner",
    "zoo.Mood",
    "zoo.CALM",
    "zoo.weight",
  ];

  it.each(symbols)("finds the file of %s", async (name) => {
    const [answer] = await ask(await zoo(), symbol(name));
    expect(fileNames(answer)[0]).toBe("zoo/main.proto");
  });

  it("finds imported types, and its own", async () => {
    const answers = await ask(await zoo(), symbol("zoo.Animal"), symbol("grpc.health.v1.Health.Watch"));
    expect(answers.map((each) => fileNames(each)[0])).toEqual(["zoo/base.proto", "grpc/health/v1/health.proto"]);
  });

  it("finds extensions by type and number, and lists their numbers", async () => {
    const [inner, weight, numbers, none] = await ask(
      await zoo(),
      extension("zoo.Animal", 101),
      extension("zoo.Animal", 150),
      { case: "allExtensionNumbersOfType", value: "zoo.Animal" },
      { case: "allExtensionNumbersOfType", value: "zoo.Cage" },
    );
    expect(fileNames(inner)[0]).toBe("zoo/main.proto");
    expect(fileNames(weight)[0]).toBe("zoo/main.proto");
    expect(numbers).toMatchObject({ value: { baseTypeName: "zoo.Animal", extensionNumber: [101, 150] } });
    expect(none).toMatchObject({ value: { baseTypeName: "zoo.Cage", extensionNumber: [] } });
  });

  it("leaves out imports that the stream has had, never the file that is asked for", async () => {
    const answers = await ask(await zoo(), symbol("zoo.Cage"), symbol("zoo.Keeper"), symbol("zoo.Animal"));
    expect(answers.map(fileNames)).toEqual([
      ["zoo/main.proto", "zoo/base.proto"],
      ["zoo/main.proto"],
      ["zoo/base.proto"],
    ]);
  });

  it("answers what is not there by an error, and goes on", async () => {
    const answers = await ask(
      await zoo(),
      { case: "fileByFilename", value: "nothing.proto" },
      symbol("zoo.Nothing"),
      symbol("text.v1.Text.Say"),
      extension("zoo.Animal", 102),
      extension("zoo.Nothing", 1),
      { case: "allExtensionNumbersOfType", value: "zoo.Nothing" },
      { case: undefined },
      symbol("zoo.Cage"),
    );
    const errors = answers.map((each) => (each.case === "errorResponse" ? each.value : null));
    expect(errors.map((each) => each?.errorCode)).toEqual([
      ...Array(6).fill(Code.NOT_FOUND),
      Code.INVALID_ARGUMENT,
      undefined,
    ]);
    expect(errors.slice(0, 3).map((each) => each?.errorMessage)).toEqual([
      'there is no file "nothing.proto" here',
      'there is no symbol "zoo.Nothing" here',
      "service text.v1.Text brings no descriptor: it was not made by bowline generate",
    ]);
    expect(fileNames(answers[7])[0]).toBe("zoo/main.proto");
  });

  it("gives back host and request with each answer", async () => {
    const client = createClient(V1, (await zoo()).address);
    const request = { host: "zoo.test", messageRequest: { case: "listServices", value: "" } } as const;
    const [answer] = await collect(client.serverReflectionInfo([request]));
    await client.close();
    expect(answer).toMatchObject({ validHost: "zoo.test", originalRequest: request });
  });

  it("speaks v1alpha as well", async () => {
    const client = createClient(V1Alpha, (await zoo()).address);
    const [answer] = await collect(
      client.serverReflectionInfo([{ messageRequest: { case: "fileContainingSymbol", value: "zoo.Keeper" } }]),
    );
    await client.close();
    expect(answer.originalRequest?.$typeName).toBe("grpc.reflection.v1alpha.ServerReflectionRequest");
    expect(answer.messageResponse.case).toBe("fileDescriptorResponse");
  });

  it("is left out on demand", async () => {
    const server = createServer({ listen: "127.0.0.1:0", handleSignals: false, drainAcceptMs: 0, reflection: false });
    await server.start();
    await expect(ask(server, { case: "listServices", value: "" })).rejects.toMatchObject({ code: Code.UNIMPLEMENTED });
    await server.close();
  });
});
