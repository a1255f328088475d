import type { DescFile, DescMessage, DescMethod, DescService } from "@bufbuild/protobuf";
import { methodName, plainMethodName } from "./code-names.ts";
import { docComment } from "./doc-comment.ts";
import { generatedHead } from "./generated-head.ts";
import { type ImportExtension, type ImportedName, MAX_WIDTH, SourceText } from "./source-text.ts";

/** What other generators named the things that a file of services refers to. */
export interface MessageNames {
  /** The type of a message. */
  shape(message: DescMessage): ImportedName;
  /** The descriptor of a message, file or service. */
  schema(desc: DescMessage | DescFile | DescService): ImportedName;
  /** The comment above, or behind, a declaration; empty without one. */
  comment(desc: DescService | DescMethod): string;
}

/** The module that holds all that generated code needs at run time. */
const RUNTIME = "bowline/codegen";

const KINDS = {
  unary: "unary",
  server_streaming: "server-stream",
  client_streaming: "client-stream",
  bidi_streaming: "bidi-stream",
} as const;

/** By google.protobuf.MethodOptions.IdempotencyLevel: IDEMPOTENCY_UNKNOWN, NO_SIDE_EFFECTS, IDEMPOTENT. */
const IDEMPOTENCY = ["unknown", "none", "idempotent"] as const;

/** Path of the generated file from the output folder. */
export function serviceFilePath(file: DescFile): string {
  return `${file.name}_rpc.ts`;
}

/** The text of `*_rpc.ts` for a file that declares services: of each, the client's type, the handlers' type, and the service itself. */
export function serviceFile(file: DescFile, names: MessageNames, extension: ImportExtension): string {
  const source = new SourceText(serviceFilePath(file), extension);
  const services = file.services.map((service) => ({
    service,
    constant: source.names.take(names.schema(service).name),
  }));
  const exported = services.map((each) => ({
    ...each,
    client: source.names.take(`${each.service.name}Client`),
    handlers: source.names.take(`${each.service.name}Handlers`),
  }));
  const printer = new ServicePrinter(source, names);
  exported.forEach((each, index) => {
    if (index > 0) source.print("");
    printer.print(each);
  });
  return source.finish(generatedHead(file.proto.name));
}

/** A service and the names of what is exported for it. */
interface ExportedService {
  readonly service: DescService;
  readonly constant: string;
  readonly client: string;
  readonly handlers: string;
}

class ServicePrinter {
  readonly #source: SourceText;
  readonly #names: MessageNames;

  constructor(source: SourceText, names: MessageNames) {
    this.#source = source;
    this.#names = names;
    source.reserve(RUNTIME, [
      "CallOptions",
      "MessageInit",
      "ServerContext",
      "Service",
      "fileDescriptors",
      "protobufCodec",
    ]);
  }

  print(exported: ExportedService): void {
    this.#printClient(exported);
    this.#source.print("");
    this.#printHandlers(exported);
    this.#source.print("");
    this.#printService(exported);
  }

  #printClient({ service, client }: ExportedService): void {
    this.#printInterface(client, service, `What a client of ${service.typeName} can call.`, (method) => {
      const request = this.#init(method.input);
      const isStream = method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming";
      const parameter = isStream ? `requests: AsyncIterable<${request}> | Iterable<${request}>` : `request: ${request}`;
      const response = this.#source.type(this.#names.shape(method.output));
      return {
        parameters: [parameter, `options?: ${this.#runtimeType("CallOptions")}`],
        result: answersWithStream(method) ? `AsyncIterable<${response}>` : `Promise<${response}>`,
      };
    });
  }

  #printHandlers({ service, handlers }: ExportedService): void {
    this.#printInterface(handlers, service, `What a server of ${service.typeName} implements.`, (method) => {
      const request = this.#source.type(this.#names.shape(method.input));
      const isStream = method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming";
      const response = this.#init(method.output);
      return {
        parameters: [
          isStream ? `requests: AsyncIterable<${request}>` : `request: ${request}`,
          `context: ${this.#runtimeType("ServerContext")}`,
        ],
        result: answersWithStream(method) ? `AsyncIterable<${response}>` : `Promise<${response}> | ${response}`,
      };
    });
  }

  #printInterface(name: string, service: DescService, purpose: string, sign: (method: DescMethod) => Signature): void {
    const comment = { text: this.#names.comment(service), fallback: purpose, isDeprecated: isDeprecated(service) };
    this.#source.print(...docComment(comment.text === "" ? comment : { ...comment, notes: [purpose] }, ""));
    if (service.methods.length === 0) {
      this.#source.print(`export type ${name} = Record<never, never>;`);
      return;
    }
    this.#source.print(`export interface ${name} {`);
    service.methods.forEach((method, index) => {
      if (index > 0) this.#source.print("");
      this.#source.print(...this.#methodComment(method), ...signatureLines(methodName(method.name), sign(method)));
    });
    this.#source.print("}");
  }

  #methodComment(method: DescMethod): string[] {
    const name = methodName(method.name);
    const plain = plainMethodName(method.name);
    const note = `Named \`${name}\` because \`${plain}\` has a meaning of its own in JavaScript.`;
    const comment = {
      text: this.#names.comment(method),
      fallback: `\`rpc ${method.parent.typeName}.${method.name}\``,
      notes: name === plain ? [] : [note],
      isDeprecated: method.deprecated,
    };
    return docComment(comment, "  ");
  }

  #printService({ service, constant, client, handlers }: ExportedService): void {
    const file = this.#names.schema(service.file);
    const comment = { text: "", fallback: `The service ${service.typeName}.`, isDeprecated: isDeprecated(service) };
    this.#source.print(
      ...docComment(comment, ""),
      `export const ${constant}: ${this.#runtimeType("Service")}<${client}, ${handlers}> = {`,
      `  typeName: ${JSON.stringify(service.typeName)},`,
      ...(service.methods.length === 0 ? ["  methods: {},"] : ["  methods: {", ...this.#methods(service), "  },"]),
      `  files: () => ${this.#runtimeValue("fileDescriptors")}(${this.#source.value(file)}),`,
      "};",
    );
  }

  #methods(service: DescService): string[] {
    return service.methods.flatMap((method) => [
      `    ${methodName(method.name)}: {`,
      `      name: ${JSON.stringify(method.name)},`,
      `      localName: ${JSON.stringify(methodName(method.name))},`,
      `      kind: ${JSON.stringify(KINDS[method.methodKind])},`,
      `      path: ${JSON.stringify(`/${service.typeName}/${method.name}`)},`,
      `      idempotency: ${JSON.stringify(IDEMPOTENCY[method.idempotency] ?? "unknown")},`,
      `      input: ${this.#codec(method.input)},`,
      `      output: ${this.#codec(method.output)},`,
      "    },",
    ]);
  }

  #codec(message: DescMessage): string {
    return `${this.#runtimeValue("protobufCodec")}(${this.#source.value(this.#names.schema(message))})`;
  }

  #runtimeType(name: string): string {
    return this.#source.type({ name, from: RUNTIME });
  }

  #runtimeValue(name: string): string {
    return this.#source.value({ name, from: RUNTIME });
  }

  #init(message: DescMessage): string {
    return `${this.#runtimeType("MessageInit")}<typeof ${this.#source.value(this.#names.schema(message))}>`;
  }
}

/** Parameters and result of a method as TypeScript. */
interface Signature {
  readonly parameters: readonly string[];
  readonly result: string;
}

function signatureLines(method: string, signature: Signature): string[] {
  // Unquoted it would say what `new` makes of the interface.
  const name = method === "new" ? '"new"' : method;
  const line = `  ${name}(${signature.parameters.join(", ")}): ${signature.result};`;
  if (line.length <= MAX_WIDTH) return [line];
  return [`  ${name}(`, ...signature.parameters.map((each) => `    ${each},`), `  ): ${signature.result};`];
}

function answersWithStream(method: DescMethod): boolean {
  return method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming";
}

function isDeprecated(service: DescService): boolean {
  return service.deprecated || service.file.deprecated;
}
