import { describe, expect, it } from "vitest";
import { bearer } from "../auth/bearer.ts";
import { silentLogger } from "../observe/logger.ts";
import { Code } from "../rpc/code.ts";
import { Metadata } from "../rpc/metadata.ts";
import type { Method } from "../rpc/method.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";
import { Guard } from "./guard.ts";

const PATH = "/note.v1.Notes/Say";
const PEER = { remoteAddress: "10.0.0.7:4711", localAddress: "10.0.0.8:80" };

describe("a guard whose authenticator takes its time", () => {
  it("takes one timer of the clock for all calls that wait, and none when they are over", async () => {
    const clock = new VirtualClock();
    const { promise: checked, resolve: check } = Promise.withResolvers<{ name: string }>();
    const by = bearer({ verify: (token) => (token === "alpha" ? checked : new Promise(() => {})) });
    const guarded = new Guard({ by, timeoutMs: 1000 }, { clock, logger: silentLogger }).of({ path: PATH } as Method);
    const { signal } = new AbortController();
    const ask = async (token: string): Promise<RpcError | null | undefined> => {
      const metadata = new Metadata({ authorization: `Bearer ${token}` });
      return guarded?.({ method: PATH, metadata, peer: PEER, signal, identity: null });
    };
    const known = Array.from({ length: 50 }, () => ask("alpha"));
    const late = Array.from({ length: 50 }, () => ask("beta"));
    expect(clock.pending).toBe(1);
    check({ name: "alice" });
    expect(await Promise.all(known)).toEqual(known.map(() => null));
    await clock.advance(1010);
    for (const error of await Promise.all(late)) {
      expect(error).toBeInstanceOf(RpcError);
      expect(error?.message).toBe("[UNAVAILABLE] the credentials could not be checked within 1000 ms");
      expect(error?.code).toBe(Code.UNAVAILABLE);
    }
    expect(clock.pending).toBe(0);
  });
});
