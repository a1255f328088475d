// grpc-js and protobufjs with nothing on: no deadline, no metadata.
import { Client, credentials } from "@grpc/grpc-js";
import { isAnswer } from "../../messages/answers.ts";
import { runMessageClient } from "../message-client.ts";
import { benchMethod } from "./bench-methods.ts";

await runMessageClient((address, { bytes }, kind) => {
  // Clients of one target share its connection unless told otherwise.
  const client = new Client(address, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
  const { path, serialize, deserialize } = benchMethod(kind);
  const requests = bytes.map((each) => deserialize(Buffer.from(each)));
  return {
    answer: async (index) => {
      const { promise, resolve, reject } = Promise.withResolvers<object>();
      client.makeUnaryRequest(path, serialize, deserialize, requests[index], (error, answer) =>
        answer === undefined ? reject(error) : resolve(answer),
      );
      return serialize(await promise);
    },
    start: (index, slot) => {
      client.makeUnaryRequest(path, serialize, deserialize, requests[index], (error, answer) => {
        if (answer !== undefined && isAnswer(kind, answer)) slot.resolved();
        else slot.rejected(error ?? "the answer is not right");
      });
    },
  };
});
