import { AsyncLocalStorage, AsyncResource } from "node:async_hooks";
import { Code } from "./code.ts";
import type { Metadata } from "./metadata.ts";
import { RpcError } from "./rpc-error.ts";
import type { SpanIds } from "./trace-context.ts";

/** Work that ends when the call it serves is cancelled: a client call made inside a handler. */
export interface ChildCall {
  /** Its place among the parent's children; kept by the parent. */
  childIndex: number;
  parentCancelled(reason: RpcError): void;
}

/**
 * What travels by itself from a call to the calls made while serving it: deadline, cancellation, trace and chosen metadata.
 *
 * One object a call; signal, controller and lists exist only when somebody uses them.
 */
export class CallContext implements SpanIds {
  /** Monotonic ms after which nobody waits for the answer; 0 without a deadline. */
  deadlineAt = 0;
  traceA = 0;
  traceB = 0;
  traceC = 0;
  traceD = 0;
  spanA = 0;
  spanB = 0;
  traceFlags = 0;
  /** W3C `tracestate`, handed on without a look at its members. */
  tracestate: string | undefined = undefined;
  /** The caller has tried before: retrying what we do for it would multiply attempts along the chain. */
  isRetry = false;
  /** Why the call was cancelled, once it is. */
  cancelReason: RpcError | null = null;
  #controller: AbortController | null = null;
  #children: ChildCall[] | null = null;

  /** Aborted with an RpcError when the caller cancels, the deadline passes or the connection is lost. Made when first read. */
  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.cancelReason !== null) this.#controller.abort(this.cancelReason);
    }
    return this.#controller.signal;
  }

  /** Metadata for the calls made while serving this one, or null. */
  propagatedMetadata(): Metadata | null {
    return null;
  }

  /** A call in our service has started; it is cancelled with us, at once if we are already. */
  adopt(child: ChildCall): void {
    if (this.cancelReason !== null) {
      child.parentCancelled(this.cancelReason);
      return;
    }
    this.#children ??= [];
    child.childIndex = this.#children.length;
    this.#children.push(child);
  }

  /** It has ended. */
  disown(child: ChildCall): void {
    const children = this.#children;
    if (children === null || children[child.childIndex] !== child) return;
    const last = children.pop() as ChildCall;
    if (last === child) return;
    children[child.childIndex] = last;
    last.childIndex = child.childIndex;
  }

  /** Ends the signal and all children. Only the first reason counts. */
  cancel(reason: RpcError): void {
    if (this.cancelReason !== null) return;
    this.cancelReason = reason;
    this.#controller?.abort(reason);
    const children = this.#children;
    this.#children = null;
    if (children === null) return;
    const inherited = new RpcError(
      reason.code === Code.DEADLINE_EXCEEDED ? reason.code : Code.CANCELLED,
      `the call that this one serves has ended: ${reason.text}`,
      {
        cause: reason,
        reason: reason.code === Code.DEADLINE_EXCEEDED ? "deadline" : "cancelled",
      },
    );
    for (const child of children) child.parentCancelled(inherited);
  }
}

/** The context of the call that is being served, wherever its handler has wandered. */
export const callStorage: AsyncLocalStorage<CallContext> = new AsyncLocalStorage();

/** Calls back in the context of one place in the user's code, wherever that happens. */
export type InContext = <R>(callback: () => R) => R;

/** Here: what is called back later belongs to whoever has asked for it now. */
export function contextHere(): InContext {
  return AsyncLocalStorage.snapshot();
}

/**
 * Here, but outside of the call that is served: for what a channel or a source of tokens makes for all its calls. A connection would else
 * run what it calls in the context of the call that it was dialled for, with that one's deadline, and keep that context alive.
 */
export function lastingContext(): InContext {
  return callStorage.exit(contextHere);
}

/**
 * Runs work as part of a call: whatever it starts finds the call in {@link callStorage}. Around it everything is as it was where the
 * scope was made: what else was stored there stays visible to the work.
 *
 * `callStorage.run` would do the same, but makes a second frame to come back (Node 24 and 26), and each call of a chunk copies the one
 * that the call before it has left: together a fifth of the CPU time of a small call. To come back from a resource is free.
 */
export class CallScope {
  readonly #resource = new AsyncResource("bowline.call", { requireManualDestroy: true });

  /** What `work` gives; what it throws passes through. */
  run<C extends CallContext, M, R>(call: C, work: (message: M, call: C) => R, message: M): R {
    return this.#resource.runInAsyncScope(enter<C, M, R>, undefined, call, work, message);
  }
}

function enter<C extends CallContext, M, R>(call: C, work: (message: M, call: C) => R, message: M): R {
  callStorage.enterWith(call);
  return work(message, call);
}
