import { create, type DescMessage, type Message, type MessageShape } from "@bufbuild/protobuf";

/**
 * Makes empty messages of a type whose fields have defaults behind them: those of proto2 and of editions with explicit presence,
 * where protobuf-es keeps the defaults on a prototype. Lists, maps and oneofs are for the caller to add.
 */
export function blankMessage<Desc extends DescMessage>(schema: Desc): () => MessageShape<Desc> {
  let Blank: (new () => MessageShape<Desc>) | undefined;
  return () => {
    Blank ??= blankOf(schema);
    return new Blank();
  };
}

/** A constructor's objects get room for their fields by what earlier ones needed; those of Object.create don't. */
function blankOf<Desc extends DescMessage>(schema: Desc): new () => MessageShape<Desc> {
  const { typeName } = schema;
  const Blank = function blank(this: { $typeName: string }): void {
    this.$typeName = typeName;
  };
  Blank.prototype = Object.getPrototypeOf(create(schema) as Message);
  return Blank as unknown as new () => MessageShape<Desc>;
}
