import { describe, expect, it } from "vitest";
import { NoteService } from "../../../test/client/note-service.ts";
import { nextTurn } from "../../rpc/turn.ts";
import { type RequestSink, sendRequests } from "./request-sending.ts";
import { RequestSource } from "./request-source.ts";

describe("a stream of requests that waits for nothing", () => {
  it("lets others have their turn each 512 messages", async () => {
    let sent = 0;
    let isEnded = false;
    const call: RequestSink = {
      attempt: 1,
      id: 1,
      hasRoom: true,
      room: () => Promise.resolve(),
      sendRequest: () => void sent++,
      requestSent: () => {},
      endRequests: () => {
        isEnded = true;
      },
      cancel: (error) => {
        throw error;
      },
    };
    const sending = sendRequests(new RequestSource(new Array(2000).fill("x"), NoteService.methods.join), call);
    const seen = [sent];
    while (!isEnded) {
      await nextTurn();
      seen.push(sent);
    }
    await sending;
    expect(seen).toEqual([512, 1024, 1536, 2000]);
  });
});
