import type { DescEnum, DescFile, DescMessage, DescMethod, DescService } from "@bufbuild/protobuf";
import { CodeNames, methodName, plainMethodName } from "./code-names.ts";
import { type CodecNames, type CodecScope, nameCodecs, RUNTIME } from "./codec/codec-scope.ts";
import { printCodecs, printFunctions, reserveForCodecs } from "./codec/message-codecs.ts";
import { reserveRuntime } from "./codec/value-code.ts";
import { docComment } from "./doc-comment.ts";
import { generatedHead } from "./generated-head.ts";
import { type ImportExtension, type ImportedName, MAX_WIDTH, SourceText } from "./source-text.ts";

/** What protoc-gen-es named the things that our own code refers to. */
export interface MessageNames {
  /** The type of a message or an enum. */
  shape(desc: DescMessage | DescEnum): ImportedName;
  /** The descriptor of a message, file or service. */
  schema(desc: DescMessage | DescFile | DescService): ImportedName;
  /** The comment above, or behind, a declaration; empty without one. */
  comment(desc: DescService | DescMethod): string;
}

const KINDS = {
  unary: "unary",
  server_streaming: "server-stream",
  client_streaming: "client-stream",
  bidi_streaming: "bidi-stream",
} as const;

/** By google.protobuf.MethodOptions.IdempotencyLevel: IDEMPOTENCY_UNKNOWN, NO_SIDE_EFFECTS, IDEMPOTENT. */
const IDEMPOTENCY = ["unknown", "none", "idempotent"] as const;

/** Path of the generated file from the output folder. */
export function rpcFilePath(file: DescFile): string {
  return `${file.name}_rpc.ts`;
}

/** What to print of a file. */
export interface RpcFile {
  readonly file: DescFile;
  readonly names: MessageNames;
  readonly extension: ImportExtension;
  /** False for files that are only imported: of those the messages are wanted, not the services. */
  readonly withServices: boolean;
  /** Module of the code for the messages of another file. */
  moduleOf(file: DescFile): string;
}

/** The text of `*_rpc.ts`: of each service the client's type, the handlers' type, and the service itself; of each message its codec. */
export function rpcFile(rpc: RpcFile): string {
  const { file, names } = rpc;
  const source = new SourceText(rpcFilePath(file), rpc.extension);
  const { services, codecs } = nameExports(file, names, source.names);
  const scope: CodecScope = { source, foreign: names, own: codecs, other: otherFiles(rpc) };
  reserveRuntime(scope);
  reserveForCodecs(scope);
  const printer = new ServicePrinter(scope, names);
  const printed = rpc.withServices ? services : [];
  for (const each of printed) printer.printTypes(each);
  printCodecs(scope);
  for (const each of printed) printer.printService(each);
  printFunctions(scope);
  return source.finish(generatedHead(file.proto.name));
}

/** What a file exports, and its names, which are the same whoever asks. */
function nameExports(
  file: DescFile,
  names: MessageNames,
  taken: CodeNames,
): { readonly services: readonly ExportedService[]; readonly codecs: ReadonlyMap<DescMessage, CodecNames> } {
  const constants = file.services.map((service) => ({ service, constant: taken.take(names.schema(service).name) }));
  const services = constants.map((each) => ({
    ...each,
    client: taken.take(`${each.service.name}Client`),
    handlers: taken.take(`${each.service.name}Handlers`),
  }));
  return { services, codecs: nameCodecs(file, taken, (message) => names.shape(message).name) };
}

function otherFiles(rpc: RpcFile): CodecScope["other"] {
  const files = new Map<DescFile, ReadonlyMap<DescMessage, CodecNames>>();
  return (message) => {
    const { file } = message;
    let codecs = files.get(file);
    if (codecs === undefined) {
      codecs = nameExports(file, rpc.names, new CodeNames()).codecs;
      files.set(file, codecs);
    }
    const names = codecs.get(message);
    if (names === undefined) throw new TypeError(`${message} is not among the messages of ${file}`);
    return { from: rpc.moduleOf(file), names };
  };
}

/** A service and the names of what is exported for it. */
interface ExportedService {
  readonly service: DescService;
  readonly constant: string;
  readonly client: string;
  readonly handlers: string;
}

class ServicePrinter {
  readonly #scope: CodecScope;
  readonly #source: SourceText;
  readonly #names: MessageNames;

  constructor(scope: CodecScope, names: MessageNames) {
    this.#scope = scope;
    this.#source = scope.source;
    this.#names = names;
  }

  /** What a client and a server see. */
  printTypes(exported: ExportedService): void {
    this.#printClient(exported);
    this.#source.print("");
    this.#printHandlers(exported);
    this.#source.print("");
  }

  /** The service itself; behind the codecs, which it holds. */
  printService({ service, constant, client, handlers }: ExportedService): void {
    const file = this.#names.schema(service.file);
    const comment = { text: "", fallback: `The service ${service.typeName}.`, isDeprecated: isDeprecated(service) };
    this.#source.print(
      ...docComment(comment, ""),
      `export const ${constant}: ${this.#runtimeType("Service")}<${client}, ${handlers}> = {`,
      `  typeName: ${JSON.stringify(service.typeName)},`,
      ...(service.methods.length === 0 ? ["  methods: {},"] : ["  methods: {", ...this.#methods(service), "  },"]),
      `  files: () => ${this.#runtimeValue("fileDescriptors")}(${this.#source.value(file)}),`,
      "};",
      "",
    );
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
    const own = this.#scope.own.get(message);
    if (own !== undefined) return own.codec;
    const { from, names } = this.#scope.other(message);
    return this.#source.value({ name: names.codec, from });
  }

  #runtimeType(name: string): string {
    return this.#source.type({ name, from: RUNTIME });
  }

  #runtimeValue(name: string): string {
    return this.#source.value({ name, from: RUNTIME });
  }

  #init(message: DescMessage): string {
    return `${this.#runtimeType("MessageInit")}<typeof ${this.#source.type(this.#names.schema(message))}>`;
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
