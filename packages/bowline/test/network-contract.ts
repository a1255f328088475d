import { afterEach, describe, expect, it } from "vitest";
import type { Link } from "../src/http2/link.ts";
import { DialError, type DialErrorKind } from "../src/net/dial-error.ts";
import { ListenError } from "../src/net/listen-error.ts";
import type { Listener, ListenOptions } from "../src/net/listener.ts";
import type { Network } from "../src/net/network.ts";
import { systemClock } from "../src/rpc/clock.ts";
import { PREFACE } from "../src/testing/raw-frames.ts";
import { LinkRecorder } from "./link-recorder.ts";

/** A network under test. */
export interface ContractNetwork {
  readonly network: Network;
  /** An address with a free port to listen on. */
  readonly anyPort: string;
  /** A second address that nobody listens on. */
  readonly nobody: string;
}

/** The promises of `Network` (net/network.ts), for every implementation. `make` gives a new one for each test. */
export function networkContract(name: string, make: () => ContractNetwork): void {
  describe(`${name} keeps the contract of a network`, () => {
    const clock = systemClock;
    const open: (() => unknown)[] = [];

    afterEach(async () => {
      for (const close of open.splice(0).reverse()) await close();
    });

    /** A listener, and the links that it took. */
    async function listening(
      { network }: ContractNetwork,
      address: string,
      options: Partial<ListenOptions> = {},
    ): Promise<{ listener: Listener; next(): Promise<Link>; taken: Link[] }> {
      const taken: Link[] = [];
      const waiting: ((link: Link) => void)[] = [];
      const onHttp2 = (link: Link): void => {
        taken.push(link);
        waiting.shift()?.(link);
      };
      const listener = await network.listen(address, { clock, onHttp2, ...options });
      open.push(() => listener.close());
      return { listener, taken, next: () => new Promise((resolve) => waiting.push(resolve)) };
    }

    /** Connects and says the first words of HTTP/2. */
    async function connected({ network }: ContractNetwork, address: string): Promise<{ link: Link; at: LinkRecorder }> {
      const link = await network.dial(address, { clock });
      open.push(() => link.destroy());
      const at = new LinkRecorder();
      link.start(at);
      link.write(PREFACE);
      return { link, at };
    }

    async function refusal(dialling: Promise<Link>): Promise<DialErrorKind> {
      const error = await dialling.then(
        (link) => {
          link.destroy();
          throw new Error("connected, which was not expected");
        },
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(DialError);
      return (error as DialError).kind;
    }

    it("joins who dials with who listens, and carries bytes both ways", async () => {
      const made = make();
      const { listener, next } = await listening(made, made.anyPort);
      const accepted = next();
      const { link, at } = await connected(made, listener.address);
      const far = await accepted;
      const atFar = new LinkRecorder();
      far.start(atFar);
      link.write(Buffer.from("hello"));
      await atFar.untilText("hello");
      far.write(Buffer.from("good day"));
      await at.untilText("good day");
      expect(atFar.text).toBe(`${PREFACE.toString("latin1")}hello`);
      expect(far.peer.remoteAddress).toBe(link.peer.localAddress);
      expect(link.peer.remoteAddress).toBe(far.peer.localAddress);
      expect(listener.connections).toBe(1);
    });

    it("gives a port for port 0, and another to the next", async () => {
      const made = make();
      const first = await listening(made, made.anyPort);
      const second = await listening(made, made.anyPort);
      expect(first.listener.port).toBeGreaterThan(0);
      expect(first.listener.address).toMatch(new RegExp(`:${first.listener.port}$`));
      expect(second.listener.port).not.toBe(first.listener.port);
      expect(await refusal(made.network.dial(made.nobody, { clock }))).toBe("refused");
    });

    it("lets one listen at an address, and the next when that has closed", async () => {
      const made = make();
      const { listener } = await listening(made, made.anyPort);
      const taken = made.network.listen(listener.address, { clock, onHttp2: () => {} });
      await expect(taken).rejects.toThrow(ListenError);
      await expect(taken).rejects.toMatchObject({ kind: "in-use" });
      await listener.close();
      expect(await refusal(made.network.dial(listener.address, { clock }))).toBe("refused");
      const again = await listening(made, listener.address);
      const accepted = again.next();
      await connected(made, listener.address);
      await accepted;
    });

    it("refuses what is no address", async () => {
      const made = make();
      expect(await refusal(made.network.dial("no address", { clock }))).toBe("address");
      expect(await refusal(made.network.dial("host:0", { clock }))).toBe("address");
      const nowhere = made.network.listen("no address", { clock, onHttp2: () => {} });
      await expect(nowhere).rejects.toMatchObject({ name: "ListenError", kind: "address" });
    });

    it("gives up when it is told to, before and during the attempt", async () => {
      const made = make();
      const { listener, taken } = await listening(made, made.anyPort);
      expect(await refusal(made.network.dial(listener.address, { clock, signal: AbortSignal.abort() }))).toBe(
        "cancelled",
      );
      const controller = new AbortController();
      const dialling = refusal(made.network.dial(listener.address, { clock, signal: controller.signal }));
      controller.abort(new Error("enough"));
      expect(await dialling).toBe("cancelled");
      expect(taken).toEqual([]);
    });

    it("stops accepting while links live on", async () => {
      const made = make();
      const { listener, next } = await listening(made, made.anyPort);
      const accepted = next();
      const { at } = await connected(made, listener.address);
      const far = await accepted;
      far.start(new LinkRecorder());
      listener.stopAccepting();
      expect(await refusal(made.network.dial(listener.address, { clock }))).toBe("refused");
      far.write(Buffer.from("still here"));
      await at.untilText("still here");
    });

    it("destroys all links when it closes, and has none left when that resolves", async () => {
      const made = make();
      const { listener, next } = await listening(made, made.anyPort);
      const accepted = next();
      const { link, at } = await connected(made, listener.address);
      const atFar = new LinkRecorder();
      (await accepted).start(atFar);
      await listener.close();
      expect(listener.connections).toBe(0);
      await at.until(() => at.has("end") || at.has("closed"));
      link.end();
      await at.untilEvent("closed");
      await atFar.untilEvent("closed");
    });

    it("lets a link that ends in order say its last words before it closes", async () => {
      const made = make();
      const { listener, next } = await listening(made, made.anyPort);
      const accepted = next();
      const { link, at } = await connected(made, listener.address);
      const far = await accepted;
      far.start(new LinkRecorder());
      far.write(Buffer.from("last words"));
      far.end();
      const closed = listener.close(5000);
      await at.untilEvent("end");
      expect(at.text).toBe("last words");
      link.end();
      await closed;
    });

    it("takes as many connections as it may and drops the others", async () => {
      const made = make();
      const misuse: string[] = [];
      const onMisuse = (kind: string): void => void misuse.push(kind);
      const { listener, next } = await listening(made, made.anyPort, { maxConnections: 1, onMisuse });
      const accepted = next();
      await connected(made, listener.address);
      await accepted;
      const second = await connected(made, listener.address);
      await second.at.until(() => second.at.has("end") || second.at.has("closed"));
      expect([listener.connections, listener.refusedConnections]).toEqual([1, 1]);
      expect(misuse).toEqual(["too-many-connections"]);
      await expect(made.network.listen(made.anyPort, { clock, onHttp2: () => {}, maxConnections: 0 })).rejects.toThrow(
        RangeError,
      );
    });
  });
}
