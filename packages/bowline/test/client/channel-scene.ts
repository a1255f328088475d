import type { Balancer } from "../../src/balancer/balancer.ts";
import { roundRobin } from "../../src/balancer/round-robin.ts";
import { StreamCall } from "../../src/client/call/stream-call.ts";
import { UnaryCall } from "../../src/client/call/unary-call.ts";
import type { CallOptions } from "../../src/client/call-options.ts";
import { Channel, type ChannelState } from "../../src/client/channel/channel.ts";
import type { ChannelOptions } from "../../src/client/channel/channel-options.ts";
import type { Endpoint, EndpointOptions } from "../../src/client/channel/endpoint.ts";
import { type ClientPipeline, type ClientPipelineOptions, clientPipeline } from "../../src/client/pipeline.ts";
import type { KeepaliveOptions } from "../../src/grpc/keepalive.ts";
import { http2Limits } from "../../src/http2/limits.ts";
import type { Link } from "../../src/http2/link.ts";
import { explainFirstBytes } from "../../src/net/first-bytes.ts";
import { instanceAt } from "../../src/registry/instance/instance.ts";
import type { Instance, Snapshot, WatchHandler } from "../../src/registry/registry.ts";
import { ConnectionBackoff } from "../../src/resilience/backoff.ts";
import { RetryBudget } from "../../src/resilience/retry-budget.ts";
import { seededRandom } from "../../src/rpc/random.ts";
import { memoryLinkPair } from "../../src/testing/memory-link.ts";
import { grpcMessage, grpcResponseFields } from "../../src/testing/raw-frames.ts";
import { RawPeer } from "../../src/testing/raw-peer.ts";
import { settle, VirtualClock } from "../../src/testing/virtual-clock.ts";
import { NoteService } from "./note-service.ts";

/** An attempt to connect that a test decides on. */
export class Dialed {
  readonly address: string;
  /** When, by the scene's clock. */
  readonly at: number;
  readonly signal: AbortSignal;
  readonly link: Promise<Link>;
  readonly #resolve: (link: Link) => void;
  readonly #reject: (error: Error) => void;

  constructor(address: string, at: number, signal: AbortSignal) {
    const { promise, resolve, reject } = Promise.withResolvers<Link>();
    this.address = address;
    this.at = at;
    this.signal = signal;
    this.link = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  refuse(text: string = `cannot connect to ${this.address}: refused`): void {
    this.#reject(new Error(text));
  }

  /** The connection stands; the server says nothing by itself. */
  accept(acknowledges: boolean = false): RawPeer {
    const [ours, theirs] = memoryLinkPair();
    this.#resolve(ours);
    return new RawPeer(theirs, { role: "server", acknowledges });
  }

  /** The connection is ready for calls. */
  async serve(settings: readonly (readonly [number, number])[] = []): Promise<RawPeer> {
    const peer = this.accept(true);
    await peer.handshake(settings);
    await settle();
    return peer;
  }
}

/** What a test may choose. */
export interface ChannelSceneOptions
  extends Partial<
      Pick<ChannelOptions, "maxWaitingCalls" | "idleTimeoutMs" | "watch" | "disk" | "waitsForRegistry" | "choose">
    >,
    Partial<Pick<ClientPipelineOptions, "timeoutMs" | "retry" | "interceptors">> {
  readonly balancer?: Balancer<Endpoint>;
  readonly maxConnections?: number;
  readonly dial?: EndpointOptions["dial"];
  readonly keepalive?: KeepaliveOptions;
}

/** A channel in virtual time: the test is registry, network and servers. */
export class ChannelScene {
  readonly clock: VirtualClock = new VirtualClock(1000);
  readonly channel: Channel;
  readonly dials: Dialed[] = [];
  readonly states: ChannelState[] = [];
  /** Trouble that no call hears of. */
  readonly warnings: string[] = [];
  readonly pipeline: ClientPipeline;
  /** Running watches. */
  watches = 0;
  refreshes = 0;
  /** How often the channel has let go of what was opened for it. */
  releases = 0;
  #handler: WatchHandler | null = null;

  constructor(options: ChannelSceneOptions = {}) {
    const { clock } = this;
    const random = seededRandom(7);
    const endpoint: EndpointOptions = {
      clock,
      transport: {
        clock,
        limits: http2Limits(),
        keepalive: options.keepalive ?? null,
        maxReceiveBytes: 4_194_304,
        explain: explainFirstBytes,
      },
      maxConnections: options.maxConnections ?? 4,
      backoff: () => new ConnectionBackoff({ random }),
      dial:
        options.dial ??
        ((address, signal) => {
          const dialed = new Dialed(address, clock.now(), signal);
          this.dials.push(dialed);
          return dialed.link;
        }),
    };
    this.channel = new Channel({
      clock,
      random,
      target: "notes",
      balancer: options.balancer ?? roundRobin({ random: () => 0 }),
      endpoint,
      misbehaved: new Map(),
      retryBudget: new RetryBudget({ clock }),
      constants: { scheme: "http", authority: "notes", userAgent: "test", acceptEncoding: "", encoding: "" },
      compression: null,
      compressFromBytes: 1024,
      maxReceiveBytes: 4_194_304,
      maxWaitingCalls: options.maxWaitingCalls ?? 1000,
      idleTimeoutMs: options.idleTimeoutMs ?? 0,
      watch: options.watch ?? ((handler) => this.#watch(handler)),
      disk: options.disk ?? null,
      waitsForRegistry: options.waitsForRegistry ?? false,
      choose: options.choose ?? (({ addresses }) => addresses[0]?.address ?? null),
      whyNone: ({ id }) => `no way to ${id}`,
      warn: (text) => this.warnings.push(text),
      closed: async () => void this.releases++,
    });
    this.channel.onState((state) => this.states.push(state));
    this.pipeline = clientPipeline({
      clock,
      random,
      timeoutMs: options.timeoutMs ?? 2000,
      streamTimeoutMs: options.timeoutMs ?? 2000,
      retry: options.retry ?? { maxAttempts: 2, baseMs: 25, maxMs: 1000 },
      interceptors: options.interceptors ?? [],
      without: [],
    });
  }

  /** The registry tells of instances, by their addresses. */
  instances(...instances: (string | Partial<Instance>)[]): Promise<void> {
    return this.list(instances.map((each) => (typeof each === "string" ? instanceAt(each) : instanceWith(each))));
  }

  /** The registry tells of these, or what it knew of them before it was lost. */
  async list(instances: readonly Instance[], freshness: Snapshot["freshness"] = "live"): Promise<void> {
    this.#handler?.snapshot({ instances, revision: 1, freshness });
    await settle();
  }

  /** The registry fails. */
  async registryFails(text: string): Promise<void> {
    this.#handler?.failed(new Error(text));
    await settle();
  }

  /** Leaves idleness and learns of one endpoint, which is connected. */
  async connected(settings?: readonly (readonly [number, number])[]): Promise<RawPeer> {
    void this.channel.connect();
    await this.instances("10.0.0.1:80");
    return this.dials[0].serve(settings);
  }

  /** A call that is answered by one message. A test may look at its failure late. */
  call(method: "say" | "read" | "join", request: unknown, options?: CallOptions): Promise<unknown> {
    const target = this.channel.method(NoteService.methods[method]);
    const outcome = new Promise((resolve, reject) => {
      new UnaryCall(this.channel, target, this.pipeline, options, request, resolve, reject).begin();
    });
    outcome.catch(() => {});
    return outcome;
  }

  /** A call that is answered by a stream. */
  stream(method: "follow" | "chat", request: unknown, options?: CallOptions): AsyncIterable<unknown> {
    const target = this.channel.method(NoteService.methods[method]);
    const call = new StreamCall(this.channel, target, this.pipeline, options, request);
    call.begin();
    return call.messages;
  }

  /** The last attempt to connect. */
  get lastDial(): Dialed {
    return this.dials[this.dials.length - 1];
  }

  #watch(handler: WatchHandler): { refresh(): void; close(): void } {
    this.#handler = handler;
    this.watches++;
    return { refresh: () => this.refreshes++, close: () => this.watches-- };
  }
}

/** An instance with an address of its own and what a test says of it. */
export function instanceWith(fields: Partial<Instance>): Instance {
  return { ...instanceAt("10.0.0.1:80"), ...fields };
}

/** Answers a unary call, headers to trailers. */
export function answer(peer: RawPeer, streamId: number, text: string): void {
  peer
    .headers(streamId, grpcResponseFields())
    .data(streamId, grpcMessage(Buffer.from(text)))
    .headers(streamId, [["grpc-status", "0"]], { end: true });
}

/** Ends a call with a status and nothing else. */
export function endWith(
  peer: RawPeer,
  streamId: number,
  code: number,
  more: readonly (readonly [string, string])[] = [],
): void {
  peer.headers(streamId, grpcResponseFields([["grpc-status", String(code)], ...more] as [string, string][]), {
    end: true,
  });
}

/** The text of a request's DATA. */
export function textOf(data: Buffer | undefined): string {
  return data?.toString("utf8", 5) ?? "";
}
