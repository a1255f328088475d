import { fromBinary } from "@bufbuild/protobuf";
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FieldDescriptorProto,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import type { Service } from "../../rpc/method.ts";

/** A .proto file that some service of the server is declared in or needs. */
export interface IndexedFile {
  /** As in `import` statements: `google/protobuf/any.proto`. */
  readonly name: string;
  /** An encoded google.protobuf.FileDescriptorProto. */
  readonly bytes: Uint8Array;
  readonly imports: readonly string[];
}

/**
 * What the descriptors of services declare, by name. Names are full, without a dot in front: `user.v1.User.name`.
 *
 * Services that bring no `files` have no part in it.
 */
export class DescriptorIndex {
  readonly #files: Map<string, IndexedFile> = new Map();
  readonly #symbols: Map<string, IndexedFile> = new Map();
  /** By the extended message, then by field number; a message without extensions has an empty map. */
  readonly #extensions: Map<string, Map<number, IndexedFile>> = new Map();

  constructor(services: readonly Service[]) {
    for (const { files } of services) for (const bytes of files?.() ?? []) this.#add(bytes);
  }

  file(name: string): IndexedFile | undefined {
    return this.#files.get(name);
  }

  /** The file that declares a service, method, message, field, oneof, enum, enum value or extension. */
  symbol(name: string): IndexedFile | undefined {
    return this.#symbols.get(name);
  }

  /** The file that declares the extension with this number of a message. */
  extension(message: string, number: number): IndexedFile | undefined {
    return this.#extensions.get(message)?.get(number);
  }

  /** Numbers of all extensions of a message, ascending; undefined for a message that is not known. */
  extensionNumbers(message: string): readonly number[] | undefined {
    const extensions = this.#extensions.get(message);
    return extensions && [...extensions.keys()].sort((a, b) => a - b);
  }

  /** The file and all that it imports, itself first, none twice. */
  withImports(file: IndexedFile): readonly IndexedFile[] {
    const found = new Set([file]);
    // A Set's iteration meets what is added while it runs.
    for (const { imports } of found) {
      for (const name of imports) {
        const imported = this.#files.get(name);
        if (imported !== undefined) found.add(imported);
      }
    }
    return [...found];
  }

  #add(bytes: Uint8Array): void {
    const proto = fromBinary(FileDescriptorProtoSchema, bytes);
    if (this.#files.has(proto.name)) return;
    const file = { name: proto.name, bytes, imports: proto.dependency };
    this.#files.set(file.name, file);
    this.#addAll(file, proto);
  }

  #addAll(file: IndexedFile, proto: FileDescriptorProto): void {
    const scope = proto.package === "" ? "" : `${proto.package}.`;
    for (const service of proto.service) {
      this.#symbols.set(scope + service.name, file);
      for (const method of service.method) this.#symbols.set(`${scope}${service.name}.${method.name}`, file);
    }
    for (const message of proto.messageType) this.#addMessage(file, scope, message);
    for (const each of proto.enumType) this.#addEnum(file, scope, each);
    for (const extension of proto.extension) this.#addExtension(file, scope, extension);
  }

  #addMessage(file: IndexedFile, scope: string, message: DescriptorProto): void {
    const name = scope + message.name;
    const inner = `${name}.`;
    this.#symbols.set(name, file);
    this.#extensionsOf(name);
    for (const field of message.field) this.#symbols.set(inner + field.name, file);
    for (const oneof of message.oneofDecl) this.#symbols.set(inner + oneof.name, file);
    for (const nested of message.nestedType) this.#addMessage(file, inner, nested);
    for (const each of message.enumType) this.#addEnum(file, inner, each);
    for (const extension of message.extension) this.#addExtension(file, inner, extension);
  }

  /** Values of an enum stand beside it, not in it. */
  #addEnum(file: IndexedFile, scope: string, each: EnumDescriptorProto): void {
    this.#symbols.set(scope + each.name, file);
    for (const value of each.value) this.#symbols.set(scope + value.name, file);
  }

  #addExtension(file: IndexedFile, scope: string, extension: FieldDescriptorProto): void {
    this.#symbols.set(scope + extension.name, file);
    // The extended message is named from the root, by a dot.
    this.#extensionsOf(extension.extendee.replace(/^\./, "")).set(extension.number, file);
  }

  #extensionsOf(message: string): Map<number, IndexedFile> {
    let extensions = this.#extensions.get(message);
    if (extensions === undefined) {
      extensions = new Map();
      this.#extensions.set(message, extensions);
    }
    return extensions;
  }
}
