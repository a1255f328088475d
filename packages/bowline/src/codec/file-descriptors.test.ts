import { create, createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { file_google_rpc_status } from "../gen/google/rpc/status_pb.ts";
import { file_grpc_health_v1_health } from "../gen/grpc/health/v1/health_pb.ts";
import { fileDescriptors } from "./file-descriptors.ts";

describe("fileDescriptors", () => {
  it("gives the file first and then what it imports, with the names of imports", () => {
    const files = fileDescriptors(file_google_rpc_status).map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
    expect(files.map((file) => file.name)).toEqual(["google/rpc/status.proto", "google/protobuf/any.proto"]);
    expect(files[0].dependency).toEqual(["google/protobuf/any.proto"]);
  });

  it("gives what a client needs to rebuild the types", () => {
    const file = fileDescriptors(file_grpc_health_v1_health).map((bytes) =>
      fromBinary(FileDescriptorProtoSchema, bytes),
    );
    const registry = createFileRegistry(create(FileDescriptorSetSchema, { file }));
    const watch = registry.getService("grpc.health.v1.Health")?.method.watch;
    expect(watch?.methodKind).toBe("server_streaming");
    expect(watch?.output.field.status.jsonName).toBe("status");
  });
});
