import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CallContext, type ChildCall } from "./call-context.ts";
import { Code } from "./code.ts";
import { RpcError } from "./rpc-error.ts";

class Child implements ChildCall {
  childIndex = -1;
  readonly reasons: RpcError[] = [];

  parentCancelled(reason: RpcError): void {
    this.reasons.push(reason);
  }
}

const cancelled = new RpcError(Code.CANCELLED, "the client left", { reason: "cancelled" });
const late = new RpcError(Code.DEADLINE_EXCEEDED, "too late", { reason: "deadline" });

describe("the context of a call", () => {
  it("cancels the calls made while serving it, each once, with why", () => {
    const context = new CallContext();
    const children = [new Child(), new Child()];
    for (const child of children) context.adopt(child);
    context.cancel(cancelled);
    context.cancel(late);
    for (const { reasons } of children) {
      expect(reasons).toHaveLength(1);
      expect(reasons[0]).toMatchObject({ code: Code.CANCELLED, reason: "cancelled", cause: cancelled });
      expect(reasons[0].text).toBe("the call that this one serves has ended: the client left");
    }
    expect(context.cancelReason).toBe(cancelled);
  });

  it("passes a passed deadline on as such", () => {
    const context = new CallContext();
    const child = new Child();
    context.adopt(child);
    context.cancel(late);
    expect(child.reasons[0]).toMatchObject({ code: Code.DEADLINE_EXCEEDED, reason: "deadline" });
  });

  it("cancels at once what is started after its end", () => {
    const context = new CallContext();
    context.cancel(cancelled);
    const child = new Child();
    context.adopt(child);
    expect(child.reasons).toEqual([cancelled]);
    expect(child.childIndex).toBe(-1);
    context.disown(child);
  });

  it("has a signal that is made when somebody asks, before the end or after", () => {
    const early = new CallContext();
    const { signal } = early;
    expect(early.signal).toBe(signal);
    expect(signal.aborted).toBe(false);
    early.cancel(cancelled);
    expect(signal.reason).toBe(cancelled);
    const afterwards = new CallContext();
    afterwards.cancel(late);
    expect(afterwards.signal.aborted).toBe(true);
    expect(afterwards.signal.reason).toBe(late);
  });

  it("lets a listener of its signal start and end calls", () => {
    const context = new CallContext();
    const before = new Child();
    const during = new Child();
    context.adopt(before);
    context.signal.addEventListener("abort", () => {
      context.adopt(during);
      context.disown(before);
    });
    context.cancel(cancelled);
    expect(during.reasons).toEqual([cancelled]);
    expect(before.reasons.length).toBeLessThanOrEqual(1);
  });

  it("knows its children after any adopting and disowning", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(19), { maxLength: 100 }), (steps) => {
        const context = new CallContext();
        const children = Array.from({ length: 20 }, () => new Child());
        const open = new Set<Child>();
        for (const step of steps) {
          const child = children[step];
          if (open.delete(child)) {
            context.disown(child);
            context.disown(child);
          } else {
            context.adopt(child);
            open.add(child);
          }
        }
        context.cancel(cancelled);
        expect(children.map((child) => child.reasons.length)).toEqual(
          children.map((child) => (open.has(child) ? 1 : 0)),
        );
      }),
    );
  });
});
