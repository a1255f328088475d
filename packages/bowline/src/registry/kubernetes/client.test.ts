import { afterEach, describe, expect, it } from "vitest";
import { answerJson, HttpPeer } from "../../../test/http-peer.ts";
import { systemClock } from "../../rpc/clock.ts";
import { seededRandom } from "../../rpc/random.ts";
import { ClusterClient } from "./client.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

describe("a list of a cluster", () => {
  it.each<[string, (page: number) => string, number, RegExp]>([
    ["names the same next page again", () => "again", 2, /names the same next page twice/],
    ["never names its last page", (page) => `page-${page}`, 1000, /goes on after 1000 pages/],
  ])("that %s is given up", async (_name, next, pages, why) => {
    const peer = await HttpPeer.start(({ response }) => {
      const metadata = { resourceVersion: "1", continue: next(peer.requests.length) };
      answerJson(response, { metadata, items: [] });
    });
    const context = { clock: systemClock, random: seededRandom(1), environment: {} };
    const client = new ClusterClient({ server: `http://${peer.address}`, token: "t" }, context);
    closers.push(
      () => peer.close(),
      () => client.close(),
    );
    await expect(client.services("shop")).rejects.toThrow(why);
    expect(peer.requests).toHaveLength(pages);
  });
});
