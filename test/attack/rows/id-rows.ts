import assert from "node:assert/strict";
import type { RawPeer } from "bowline/testing";
import { answer, ECHO_REQUEST, echoFields, expectHonestCall, Http2Code } from "../provocation.ts";
import type { Row } from "../row.ts";

/** Low, so that ids run out; the default is 75 % of all. */
const MAX_STREAM_ID = 101;
const IDS = { limits: { maxStreamId: MAX_STREAM_ID } };
const CALLS = 500;

/** Answers each call until the client leaves; the highest id that it used. */
async function serveAll(peer: RawPeer, first: number): Promise<number> {
  let last = first;
  for (answer(peer, first); ; answer(peer, last)) {
    const next = await peer.expect("HEADERS").catch(() => undefined);
    if (next === undefined) return last;
    last = next.streamId;
  }
}

const exhaustedClient: Row = {
  row: 25,
  role: "client",
  title: "stream ids run out",
  required: `a new connection at maxStreamId (75 % of ids; here ${MAX_STREAM_ID}), GOAWAY, 0 failed calls`,
  attack: async (client) => {
    const lastIds: number[] = [];
    let goaways = 0;
    const ends = await client.call(
      async (peer, [first]) => {
        lastIds.push(await serveAll(peer, first));
        if (peer.received.some(({ type, errorCode }) => type === "GOAWAY" && errorCode === Http2Code.NO_ERROR))
          goaways++;
      },
      { calls: CALLS, client: IDS },
    );
    const failed = ends.filter(({ code }) => code !== 0);
    assert.equal(failed.length, 0, `${failed.length} calls failed: ${failed[0]?.text}`);
    assert.ok(lastIds.length >= Math.ceil((2 * CALLS) / MAX_STREAM_ID / 2), `${lastIds.length} connections`);
    assert.ok(
      lastIds.every((id) => id <= MAX_STREAM_ID),
      `ids up to ${Math.max(...lastIds)} were used`,
    );
    assert.equal(goaways, lastIds.length, "a connection ended without GOAWAY");
    return `${ends.length} calls ok over ${lastIds.length} connections, ids up to ${Math.max(...lastIds)}`;
  },
};

const exhaustedServer: Row = {
  row: 25,
  role: "server",
  title: "stream ids run out",
  required: "GOAWAY once at maxStreamId, all calls served, the last id too",
  options: IDS,
  attack: async (server) => {
    const peer = await server.open();
    for (let id = 1; id <= 2 * MAX_STREAM_ID; id += 2) {
      peer.headers(id, echoFields()).data(id, ECHO_REQUEST, { end: true });
    }
    const goaway = await peer.expect("GOAWAY");
    assert.equal(goaway.errorCode, Http2Code.NO_ERROR);
    assert.equal(goaway.lastStreamId, 0x7fffffff);
    await expectHonestCall(peer, 0x7fffffff);
    const ok = peer.received.filter(({ type, headers }) => type === "HEADERS" && headers?.["grpc-status"] === "0");
    assert.equal(ok.length, MAX_STREAM_ID + 1);
    assert.equal(peer.received.filter(({ type }) => type === "GOAWAY").length, 1);
    peer.destroy();
    return `${ok.length} calls ok, one GOAWAY`;
  },
};

/** Rows about the ids of streams. */
export const idRows: readonly Row[] = [exhaustedServer, exhaustedClient];
