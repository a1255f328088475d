import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  ServerReflectionRequest,
  ServerReflectionResponseSchema,
} from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ReflectionV1 } from "../../gen/grpc/reflection/v1/reflection_rpc.ts";
import { ServerReflection as ReflectionV1Alpha } from "../../gen/grpc/reflection/v1alpha/reflection_rpc.ts";
import { Code } from "../../rpc/code.ts";
import type { Router } from "../router.ts";
import { DescriptorIndex, type IndexedFile } from "./descriptor-index.ts";

/** Both versions of the protocol have the same messages, apart from their names. */
type Question = ServerReflectionRequest["messageRequest"];
type Answers = AsyncGenerator<MessageInitShape<typeof ServerReflectionResponseSchema>>;
type Answer = NonNullable<MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"]>;

/**
 * Adds grpc.reflection v1 and v1alpha to a server (grpc/doc/server-reflection.md): which services there are, and their .proto files.
 * What is asked for and not there is answered on the stream, which goes on.
 */
export function addReflection(router: Router): void {
  const reflection = new Reflection(router);
  const serverReflectionInfo = (requests: AsyncIterable<ServerReflectionRequest>): Answers =>
    reflection.answers(requests);
  router.add(ReflectionV1, { serverReflectionInfo });
  router.add(ReflectionV1Alpha, { serverReflectionInfo });
}

class Reflection {
  readonly #router: Router;
  #index: DescriptorIndex | null = null;

  constructor(router: Router) {
    this.#router = router;
  }

  async *answers(requests: AsyncIterable<ServerReflectionRequest>): Answers {
    const sent = new Set<IndexedFile>();
    for await (const request of requests) {
      yield {
        validHost: request.host,
        originalRequest: request,
        messageResponse: this.#answer(request.messageRequest, sent),
      };
    }
  }

  #answer(question: Question, sent: Set<IndexedFile>): Answer {
    switch (question.case) {
      case "listServices":
        return this.#services();
      case "fileByFilename": {
        const name = question.value;
        return this.#files(this.#descriptors.file(name), sent, `there is no file ${JSON.stringify(name)} here`);
      }
      case "fileContainingSymbol":
        return this.#files(this.#descriptors.symbol(question.value), sent, this.#unknownSymbol(question.value));
      case "fileContainingExtension": {
        const { containingType, extensionNumber } = question.value;
        const missing = `${JSON.stringify(containingType)} has no extension with number ${extensionNumber} here`;
        return this.#files(this.#descriptors.extension(containingType, extensionNumber), sent, missing);
      }
      case "allExtensionNumbersOfType":
        return this.#extensionNumbers(question.value);
      default:
        return error(Code.INVALID_ARGUMENT, "the request asks for nothing this server knows: message_request is unset");
    }
  }

  /** Read when somebody asks for the first time: all services have been added by then, and most servers are never asked. */
  get #descriptors(): DescriptorIndex {
    this.#index ??= new DescriptorIndex(this.#router.services);
    return this.#index;
  }

  #services(): Answer {
    const service = [...this.#router.serviceNames].sort().map((name) => ({ name }));
    return { case: "listServicesResponse", value: { service } };
  }

  /** The file with its imports; those that this stream has had are left out, as the protocol allows. */
  #files(file: IndexedFile | undefined, sent: Set<IndexedFile>, missing: string): Answer {
    if (file === undefined) return error(Code.NOT_FOUND, missing);
    const wanted = this.#descriptors.withImports(file).filter((each) => each === file || !sent.has(each));
    for (const each of wanted) sent.add(each);
    return { case: "fileDescriptorResponse", value: { fileDescriptorProto: wanted.map(({ bytes }) => bytes) } };
  }

  #unknownSymbol(name: string): string {
    const service = this.#router.services.find(
      (each) => name === each.typeName || name.startsWith(`${each.typeName}.`),
    );
    if (service === undefined || service.files !== undefined) return `there is no symbol ${JSON.stringify(name)} here`;
    return `service ${service.typeName} brings no descriptor: it was not made by bowline generate`;
  }

  #extensionNumbers(message: string): Answer {
    const extensionNumber = this.#descriptors.extensionNumbers(message);
    if (extensionNumber === undefined) {
      return error(Code.NOT_FOUND, `there is no message ${JSON.stringify(message)} here`);
    }
    return {
      case: "allExtensionNumbersResponse",
      value: { baseTypeName: message, extensionNumber: [...extensionNumber] },
    };
  }
}

function error(errorCode: Code, errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}
