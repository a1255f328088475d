/** What a .proto file may begin with. */
export type Syntax = "proto2" | "proto3" | "2023" | "2024";

/** A field's label, or `map`. Members of a oneof are `singular`; fields of editions have no other but `repeated`. */
export type Label = "singular" | "optional" | "required" | "repeated" | "map";

/** The type of a field: a scalar's name, or the full name of a message or an enum with a dot in front. */
export interface ProtoType {
  readonly kind: "scalar" | "message" | "enum";
  readonly name: string;
}

/** A field of a message, or an extension. */
export interface ProtoField {
  readonly name: string;
  readonly number: number;
  readonly label: Label;
  readonly type: ProtoType;
  /** Of a map. */
  readonly key?: string;
  /** Texts such as `deprecated = true`. */
  readonly options: readonly string[];
  /** The body of a proto2 group; its name is the field's with a capital. */
  readonly group?: ProtoMessage;
  /** Name of the oneof that the field belongs to. */
  readonly oneof?: string;
  readonly comment?: string;
}

/** An enum; values in their order. */
export interface ProtoEnum {
  readonly name: string;
  readonly fullName: string;
  readonly isClosed: boolean;
  readonly options: readonly string[];
  readonly values: readonly { readonly name: string; readonly number: number }[];
}

/** A message and what is declared in it. The lists are filled after all names are known. */
export interface ProtoMessage {
  readonly name: string;
  readonly fullName: string;
  readonly isDeprecated: boolean;
  readonly comment?: string;
  readonly fields: ProtoField[];
  readonly messages: ProtoMessage[];
  readonly enums: ProtoEnum[];
  /** First and last number; undefined when the message can't be extended. */
  readonly extensionRange: readonly [number, number] | undefined;
  readonly extensions: ProtoExtend[];
}

/** An `extend` block. */
export interface ProtoExtend {
  /** Full name with a dot in front. */
  readonly target: string;
  readonly fields: readonly ProtoField[];
}

/** An import. */
export interface ProtoImport {
  readonly path: string;
  readonly isPublic: boolean;
}

/** One .proto file. */
export interface ProtoFile {
  readonly path: string;
  readonly syntax: Syntax;
  readonly package: string;
  readonly imports: ProtoImport[];
  /** Options of the file as they stand in its text, such as `features.field_presence = IMPLICIT`. */
  readonly options: readonly string[];
  readonly messages: ProtoMessage[];
  readonly enums: ProtoEnum[];
  readonly extensions: ProtoExtend[];
}
