import type { ChildProcess } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { useWorkers, type WorkerScene } from "../../../test/server/workers/worker-scene.ts";
import { VirtualClock } from "../../testing/virtual-clock.ts";
import { AcceptedConnections } from "./accepted-connections.ts";

/** A connection as node:cluster has it. */
class FakeHandle {
  isClosed = false;
  /** Null once it is out of the queue. */
  _idleNext: object | null = null;

  close(): void {
    this.isClosed = true;
  }
}

/** A worker's process, to which node:cluster hands connections. */
class FakeChild extends EventEmitter {
  readonly sent: unknown[][] = [];
  #lastSeq = 0;

  send(...args: unknown[]): boolean {
    this.sent.push(args);
    return true;
  }

  hand(handle: FakeHandle): number {
    this.send({ cmd: "NODE_CLUSTER", act: "newconn", key: "k", seq: ++this.#lastSeq }, handle);
    return this.#lastSeq;
  }

  answers(ack: number, accepted: boolean): void {
    this.emit("internalMessage", { cmd: "NODE_CLUSTER", ack, accepted });
  }
}

function follow(child: FakeChild): () => void {
  const accepted = new AcceptedConnections({ clock: new VirtualClock(), maxWaiting: 10, onMisuse() {} });
  const gone = accepted.follow(child as unknown as ChildProcess);
  return () => {
    gone();
    accepted.close();
  };
}

describe("a connection that is handed to a worker", () => {
  it("is closed when the worker is gone before it has answered, and only then", () => {
    const child = new FakeChild();
    const gone = follow(child);
    const handles = [new FakeHandle(), new FakeHandle(), new FakeHandle()];
    const [taken, refused] = handles.map((handle) => child.hand(handle));
    child.answers(taken, true);
    child.answers(refused, false);
    // Back in the queue.
    handles[1]._idleNext = {};
    gone();
    expect(handles.map(({ isClosed }) => isClosed)).toEqual([false, false, true]);
    expect(child.sent.map(([, handle]) => handle)).toEqual(handles);
  });

  it("is closed when it has left the queue and was sent to nobody", () => {
    const child = new FakeChild();
    const gone = follow(child);
    const handle = new FakeHandle();
    child.answers(child.hand(handle), false);
    gone();
    expect(handle.isClosed).toBe(true);
  });

  it("is left to a worker of the program's own that has taken it", () => {
    const accepted = new AcceptedConnections({ clock: new VirtualClock(), maxWaiting: 10, onMisuse() {} });
    const [ours, other] = [new FakeChild(), new FakeChild()];
    const gone = accepted.follow(ours as unknown as ChildProcess);
    accepted.followOther(other as unknown as ChildProcess);
    const [taken, lost] = [new FakeHandle(), new FakeHandle()];
    // Back in the queue that both take from.
    ours.answers(ours.hand(taken), false);
    other.hand(taken);
    other.hand(lost);
    other.emit("close");
    gone();
    accepted.close();
    expect([taken.isClosed, lost.isClosed]).toEqual([false, false]);
    expect([...ours.sent, ...other.sent].map(([, handle]) => handle)).toEqual([taken, taken, lost]);
  });

  it("is left alone where it comes in another way than node:cluster's", () => {
    const child = new FakeChild();
    const gone = follow(child);
    const others = [new FakeHandle(), new FakeHandle()];
    child.send({ act: "newconn" }, others[0]);
    child.send({ act: "something", seq: 1 }, others[1], {}, () => {});
    child.send("text");
    child.emit("internalMessage", { cmd: "NODE_HANDLE_ACK" });
    gone();
    expect(others.map(({ isClosed }) => isClosed)).toEqual([false, false]);
    expect(child.sent).toHaveLength(3);
  });
});

describe("connections to workers that do nothing", { timeout: 60_000 }, () => {
  const workers = useWorkers();
  const sockets: Socket[] = [];
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
  });

  async function connected(scene: WorkerScene): Promise<Socket> {
    const [host, port] = scene.address.split(":");
    const socket = connect({ host, port: Number(port) });
    sockets.push(socket);
    socket.on("error", () => {});
    await once(socket, "connect");
    return socket;
  }

  const closed = (socket: Socket): Promise<unknown> => new Promise((resolve) => socket.once("close", resolve));

  it("wait in the primary up to a bound; what is too much is refused and counted", async () => {
    const scene = await workers.start({ workers: 2, maxConnections: 3 });
    for (const { pid } of await scene.workers()) process.kill(pid, "SIGSTOP");
    // One is on its way to each worker, and six wait.
    for (let i = 0; i < 8; i++) await connected(scene);
    for (let i = 0; i < 4; i++) await closed(await connected(scene));
    const { misbehaved } = await scene.stats();
    expect(misbehaved).toEqual({ "too-many-connections": 4 });
    expect(scene.stderr).toContain("was refused: 6 connections wait for a worker to take them");
    expect(sockets.filter(({ closed: isClosed }) => isClosed)).toHaveLength(4);
    for (const { pid } of await scene.workers()) process.kill(pid, "SIGCONT");
    for (const socket of sockets.splice(0)) socket.destroy();
    // Those that are gone must be taken and closed first.
    await scene.until(
      () => scene.client().say("here").catch(String),
      (answer) => answer === "here",
    );
  });

  it("go to another when theirs dies", async () => {
    const scene = await workers.start({ workers: 2 });
    const [one, two] = await scene.clients(2);
    process.kill(one.pid, "SIGSTOP");
    // One goes to that worker; since it does not answer, all others go to the other one.
    const waiting = [await connected(scene), await connected(scene), await connected(scene)];
    const outcomes = waiting.map(
      (socket) =>
        new Promise((resolve) => {
          socket.once("data", () => resolve("answered")).once("close", () => resolve("closed"));
          socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        }),
    );
    await two.client.say("here");
    // The primary has seen to all of them by now.
    await scene.stats();
    process.kill(one.pid, "SIGKILL");
    expect(await Promise.all(outcomes)).toEqual(["answered", "answered", "answered"]);
  });

  it("end with the only worker, which is started again", async () => {
    const scene = await workers.start({ workers: 1, isIdle: true });
    const [{ pid }] = await scene.workers();
    process.kill(pid, "SIGSTOP");
    const ends = [closed(await connected(scene)), closed(await connected(scene))];
    process.kill(pid, "SIGKILL");
    await Promise.all(ends);
    const [worker] = await scene.until(
      () => scene.workers(),
      ([{ state }]) => state === "serving",
    );
    expect(await scene.client().say("pid")).toBe(String(worker.pid));
  });
});
