import assert from "node:assert/strict";
import { type Client, Code, type Metadata, RpcError } from "bowline";
import { BadRequestSchema, findDetail } from "bowline/grpc/error-details";
import type { KnotServiceClient } from "../gen/packages/v1/knot_rpc.ts";

/** Makes calls of all four kinds, one of them with an error that has details, and looks at the answers. */
export async function callEverything(knots: Client<KnotServiceClient>): Promise<void> {
  let header: Metadata | undefined;
  const onHeader = (received: Metadata): void => {
    header = received;
  };
  const knot = await knots.tie({ name: "bowline", paddingBytes: 100_000 }, { timeoutMs: 10_000, onHeader });
  assert.equal(knot.name, "bowline");
  assert.equal(knot.padding.length, 100_000);
  assert.equal(knot.tiedAt?.seconds, 7n);
  assert.equal(header?.get("served-by"), "knots");

  assert.deepEqual(await namesOf(knots.list({ count: 3 })), ["knot 0", "knot 1", "knot 2"]);
  assert.deepEqual((await knots.collect([{ name: "a" }, { name: "b" }])).names, ["a", "b"]);
  assert.deepEqual(await namesOf(knots.exchange(requests())), ["X", "Y"]);
  await checkRefusal(knots);
}

async function namesOf(stream: AsyncIterable<{ readonly name: string }>): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of stream) names.push(name);
  return names;
}

async function* requests(): AsyncIterable<{ name: string }> {
  yield { name: "x" };
  yield { name: "y" };
}

async function checkRefusal(knots: Client<KnotServiceClient>): Promise<void> {
  const error = await knots.tie({}).then(
    () => assert.fail("an empty name was taken"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof RpcError);
  assert.equal(error.code, Code.INVALID_ARGUMENT);
  assert.equal(error.origin, "remote");
  assert.equal(findDetail(error, BadRequestSchema)?.fieldViolations[0]?.description, "is empty");
}
