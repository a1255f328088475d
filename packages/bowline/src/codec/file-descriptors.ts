import { type DescFile, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";

/**
 * A .proto file and all it imports, each as an encoded google.protobuf.FileDescriptorProto: the file itself first, none twice.
 *
 * Comments are not among them. Encoded anew at each call, because only reflection asks.
 */
export function fileDescriptors(file: DescFile): readonly Uint8Array[] {
  const files = new Set([file]);
  // A Set's iteration meets what is added while it runs.
  for (const each of files) {
    for (const dependency of each.dependencies) files.add(dependency);
  }
  return Array.from(files, (each) => toBinary(FileDescriptorProtoSchema, each.proto));
}
