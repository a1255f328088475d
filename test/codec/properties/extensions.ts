import { create, type DescExtension, getExtension, hasExtension, setExtension, toBinary } from "@bufbuild/protobuf";
import { decode, encode } from "../harness/use-codec.ts";
import { randomInit } from "../message/random-init.ts";
import { scalarValue } from "../message/scalar-value.ts";
import { options } from "./encoding.ts";
import { difference, fault, type Property, type Trial } from "./property.ts";

/** Extensions set by protobuf-es are encoded and found again. */
export const extensionsAreKept: Property = (trial) => {
  const { desc, codec } = trial.type;
  const extensions = [...trial.registry].filter(
    (each): each is DescExtension => each.kind === "extension" && each.extendee.typeName === desc.typeName,
  );
  if (extensions.length === 0) return;
  const message = create(desc, randomInit(trial.chance, desc, options(1)));
  for (const extension of extensions) setExtension(message, extension, extensionValue(trial, extension));
  const expected = Buffer.from(toBinary(desc, message));
  const seen = encode(codec, message);
  if (!seen.equals(expected)) fault(desc, "extensions are encoded otherwise", { seen, expected });
  const decoded = decode(codec, seen);
  for (const extension of extensions) {
    if (!hasExtension(decoded, extension)) fault(desc, `lost the extension ${extension.typeName}`, { seen });
    const apart = difference(getExtension(decoded, extension), getExtension(message, extension));
    if (apart !== undefined) fault(desc, `the extension ${extension.typeName} differs: ${apart}`, { seen });
  }
};

function extensionValue({ chance }: Trial, extension: DescExtension): never {
  const single = (): unknown => {
    if (extension.message !== undefined) {
      return create(extension.message, randomInit(chance, extension.message, { depth: 0, created: 0, filled: 0.5 }));
    }
    if (extension.enum !== undefined) return chance.pick(extension.enum.values).number;
    return scalarValue(chance, extension.scalar);
  };
  const isWrapper =
    extension.fieldKind === "message" &&
    extension.message.typeName.endsWith("Value") &&
    extension.message.file.proto.name.endsWith("wrappers.proto");
  if (isWrapper) return scalarValue(chance, extension.message.fields[0]?.scalar as never) as never;
  if (extension.message?.typeName === "google.protobuf.Struct")
    return (extension.fieldKind === "list" ? [{ a: 1 }] : { a: 1 }) as never;
  return (extension.fieldKind === "list" ? chance.list(1, 3, single) : single()) as never;
}
