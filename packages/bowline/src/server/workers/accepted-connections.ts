import type { ChildProcess } from "node:child_process";
import type { Server, Socket } from "node:net";
import { DESCRIPTOR_ADVICE, DescriptorWatch } from "../../net/proc/descriptor-watch.ts";
import type { Clock } from "../../rpc/clock.ts";

/** A connection or a port as node:cluster has it in the primary: a handle of libuv. */
interface Handle {
  readonly fd?: number;
  /** Null once node:cluster has taken the connection out of its queue. */
  readonly _idleNext?: object | null;
  /** Of a port: called with each connection that was accepted. */
  onconnection?: ((error: number, connection?: Handle) => void) | null;
  close(): void;
}

/** A port, and what it gives its connections to. */
interface Port {
  readonly handle: Handle;
  readonly distribute: NonNullable<Handle["onconnection"]>;
}

/** What node:cluster tells a worker and its primary. */
interface ClusterMessage {
  readonly act?: string;
  readonly seq?: number;
  readonly ack?: number;
  readonly accepted?: boolean;
}

/** What the bound of connections needs. */
export interface AcceptedOptions {
  readonly clock: Clock;
  /** Connections that may wait. */
  readonly maxWaiting: number;
  /** A connection was refused, or there are hardly any descriptors left; the words say it of a client. */
  readonly onMisuse: (kind: string, text: string) => void;
}

const LISTEN_START = "tracing:net.server.listen:asyncStart";
const LISTEN_END = "tracing:net.server.listen:asyncEnd";

/**
 * Connections that node:cluster has accepted for workers that share a port, and that none has taken yet.
 *
 * node:cluster gives each worker one connection at a time and keeps the others in a queue without a bound; a connection that a worker
 * was being given when it died it forgets, open. Here the queue has a bound, and what was forgotten goes to another worker, or is closed.
 *
 * node:cluster has no interface for it. What is used of its ways are the messages `newconn` and their answers, and the handle of the
 * port; a Node whose ways are others works as if this were not here.
 */
export class AcceptedConnections {
  readonly #options: AcceptedOptions;
  readonly #descriptors: DescriptorWatch;
  readonly #followed: WeakSet<ChildProcess> = new WeakSet();
  /** In the queue of node:cluster. */
  readonly #waiting: Set<Handle> = new Set();
  readonly #ports: WeakMap<Handle, Port> = new WeakMap();
  /** Made by node:cluster to listen for a worker of ours. */
  readonly #servers: WeakSet<object> = new WeakSet();
  /** node:cluster is looking at a message of a worker of ours. */
  #isAsked = false;
  /** The watch has just said that few descriptors are left. */
  #isShort = false;
  /** A descriptor of this number leaves too few to start a worker with. */
  #lastDescriptor = Number.POSITIVE_INFINITY;
  readonly #stop: () => void;

  constructor(options: AcceptedOptions) {
    this.#options = options;
    this.#descriptors = new DescriptorWatch(options.clock, (kind, text) => {
      this.#isShort = true;
      options.onMisuse(kind, text);
    });
    this.#stop = this.#watchPorts();
  }

  /** Follows what a worker's process is handed. Returns what is to be called when the process is gone. */
  follow(child: ChildProcess): () => void {
    return this.#follow(child, true);
  }

  /** The same for a worker of the program's own, which may listen at a port of ours: what becomes of its connections is left to it. */
  followOther(child: ChildProcess): void {
    if (this.#followed.has(child)) return;
    child.once("close", this.#follow(child, false));
  }

  #follow(child: ChildProcess, isOurs: boolean): () => void {
    this.#followed.add(child);
    const handed = new Map<number, Handle>();
    const { send } = child as { send: (...args: unknown[]) => boolean };
    const watched = (message: ClusterMessage, handle: Handle, ...rest: unknown[]): boolean => {
      if (message?.act === "newconn" && typeof message.seq === "number" && typeof handle?.close === "function") {
        this.#waiting.delete(handle);
        handed.set(message.seq, handle);
      }
      return send.call(child, message, handle, ...rest);
    };
    Object.assign(child, { send: watched });
    // Before node:cluster, which acts on it at once.
    child.prependListener("internalMessage", ({ act, ack, accepted }: ClusterMessage) => {
      this.#isAsked = isOurs && act === "queryServer";
      const handle = ack === undefined ? undefined : handed.get(ack);
      if (handle === undefined) return;
      handed.delete(ack as number);
      // It goes back into the queue.
      if (accepted === false) this.#waiting.add(handle);
    });
    child.on("internalMessage", () => {
      this.#isAsked = false;
    });
    return () => {
      if (isOurs) for (const handle of handed.values()) this.#putBack(handle);
      handed.clear();
      // Taken out of the queue for a worker to which nothing could be sent any more.
      for (const handle of [...this.#waiting]) if (handle._idleNext === null) this.#putBack(handle);
    };
  }

  /** Bounds nothing any more. */
  close(): void {
    this.#stop();
    this.#descriptors.close();
  }

  /** A connection that nobody has read from goes to another worker, if there is one. */
  #putBack(handle: Handle): void {
    const port = this.#ports.get(handle);
    this.#waiting.delete(handle);
    // A port is closed when its last worker is gone.
    if (port === undefined || !isOpen(port.handle) || !isOpen(handle)) return handle.close();
    this.#waiting.add(handle);
    port.distribute.call(port.handle, 0, handle);
  }

  #watchPorts(): () => void {
    const { subscribe, unsubscribe } = process.getBuiltinModule("node:diagnostics_channel");
    const onStart = (message: unknown): void => {
      if (this.#isAsked) this.#servers.add((message as { readonly server: Server }).server);
    };
    const onEnd = (message: unknown): void => {
      const { server } = message as { readonly server: Server };
      if (this.#servers.has(server)) this.#listens(server);
    };
    subscribe(LISTEN_START, onStart);
    subscribe(LISTEN_END, onEnd);
    return () => {
      unsubscribe(LISTEN_START, onStart);
      unsubscribe(LISTEN_END, onEnd);
    };
  }

  #listens(server: Server): void {
    const { _handle: port } = server as { readonly _handle?: Handle };
    const before = port?.onconnection;
    if (!port || !before) return;
    // node:cluster takes the handle for itself in a listener of the same event.
    server.once("listening", () => {
      queueMicrotask(() => {
        if (port.onconnection && port.onconnection !== before) this.#bound(port, port.onconnection);
      });
    });
  }

  #bound(handle: Handle, distribute: Port["distribute"]): void {
    // What waited at a port that was closed was closed with it.
    for (const each of this.#waiting) if (!isOpen(each)) this.#waiting.delete(each);
    const port = { handle, distribute };
    handle.onconnection = (error, connection) => {
      if (connection !== undefined) {
        const why = this.#refusal(connection);
        if (why !== "") {
          connection.close();
          return this.#options.onMisuse("too-many-connections", why);
        }
        this.#ports.set(connection, port);
        this.#waiting.add(connection);
      }
      distribute.call(handle, error, connection);
    };
  }

  /** Why a connection can't wait; empty if it can. */
  #refusal(connection: Handle): string {
    const { fd = -1 } = connection;
    this.#isShort = false;
    this.#descriptors.accepted({ _handle: connection } as unknown as Socket);
    if (this.#isShort) this.#lastDescriptor = fd;
    const { size } = this.#waiting;
    const stalled = `was refused: ${size} connections wait for a worker to take them`;
    if (size >= this.#options.maxWaiting) return stalled;
    // Where nothing waits it goes on to a worker at once.
    return size > 0 && fd >= this.#lastDescriptor
      ? `${stalled}, and hardly any descriptors are left; ${DESCRIPTOR_ADVICE}`
      : "";
  }
}

/** False for what is closed, and where it can't be told. */
function isOpen({ fd = -1 }: Handle): boolean {
  return fd >= 0;
}
