import { isDeepStrictEqual } from "node:util";
import { type Client, type ClientOptions, Code, createClient, RpcError, type Service } from "bowline";
import type { Order as NewOrder } from "../../gen/chaos/v1/skew_new_pb.ts";
import {
  type OrdersClient as NewClient,
  type OrdersHandlers as NewHandlers,
  Orders as NewOrders,
} from "../../gen/chaos/v1/skew_new_rpc.ts";
import type { Order as OldOrder } from "../../gen/chaos/v1/skew_old_pb.ts";
import {
  type OrdersClient as OldClient,
  type OrdersHandlers as OldHandlers,
  Orders as OldOrders,
} from "../../gen/chaos/v1/skew_old_rpc.ts";

/** Two releases of one contract: the new one has more fields, another enum value and another method. */
export type Release = "old" | "new";

/** What both releases are called on the wire. */
const NAME = "chaos.v1.Orders";
/** Of the new release only. */
const SHIPPED = 2;
/** What an old client asks for: an order that it does not understand. */
const ASKS = "show me one";

const OLD: Service<OldClient, OldHandlers> = renamed(OldOrders);
const NEW: Service<NewClient, NewHandlers> = renamed(NewOrders);

/** Each release was generated from a file with a package of its own; on the wire they are one service. */
function renamed<C, H>({ methods }: Service<C, H>): Service<C, H> {
  const entries = Object.entries(methods).map(([key, method]) => [key, { ...method, path: `/${NAME}/${method.name}` }]);
  return { typeName: NAME, methods: Object.fromEntries(entries) };
}

type OrderFields = Omit<NewOrder, "$typeName" | "$unknown" | "parcel"> & {
  readonly parcel: { readonly number: bigint; readonly sizes: number[]; readonly label: Uint8Array<ArrayBuffer> };
};

/** The order of this name with all that the new release knows. */
function fullOrder(client: number, sequence: number): OrderFields {
  return {
    client,
    sequence,
    item: ASKS,
    state: SHIPPED,
    parcel: {
      number: BigInt(sequence) << 33n,
      sizes: [sequence / 3, -0.5],
      label: Uint8Array.of(client, sequence & 255),
    },
    notes: [`order ${sequence}`, "", "ü"],
    weights: { "": -1n, [`w${sequence}`]: BigInt(-sequence) },
  };
}

function isFull(order: NewOrder): boolean {
  const { $typeName: _, $unknown, parcel, ...rest } = order;
  const { $typeName: __, ...parcelFields } = parcel ?? { $typeName: "" };
  const { parcel: wantedParcel, ...wanted } = fullOrder(order.client, order.sequence);
  const isSame = isDeepStrictEqual(rest, wanted) && isDeepStrictEqual(bytesOf(parcelFields), bytesOf(wantedParcel));
  return isSame && $unknown === undefined;
}

/** Arrays of octets compare by their octets, whatever kind of array they are. */
function bytesOf(fields: object): object {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, value instanceof Uint8Array ? [...value] : value]),
  );
}

/** A server's side. `run` writes down that a handler runs. */
export function serveOrders(
  release: Release,
  run: <T>(order: { readonly client: number; readonly sequence: number }, work: () => T) => T,
): { readonly service: Service<unknown, object>; readonly handlers: OldHandlers | NewHandlers } {
  if (release === "old") {
    // Hands back what it got, with all that it does not know.
    const handlers: OldHandlers = { place: (order) => run(order, () => order) };
    return { service: OLD, handlers };
  }
  const place = (order: NewOrder): OrderFields | NewOrder => {
    if (order.state !== SHIPPED) return fullOrder(order.client, order.sequence);
    if (!isFull(order)) throw new RpcError(Code.DATA_LOSS, `order ${order.sequence} lost something on its way`);
    return order;
  };
  const handlers: NewHandlers = {
    place: (order) => run(order, () => place(order)),
    cancel: (order) => order,
  };
  return { service: NEW, handlers };
}

/** A client's side: one call, which throws when anything is not as it must be. */
export function orderCaller(
  release: Release,
  target: string,
  options: ClientOptions,
): { readonly channel: Client<OldClient>["channel"]; call(client: number, sequence: number): Promise<void> } {
  if (release === "old") {
    const old = createClient(OLD, target, options);
    return { channel: old.channel, call: (client, sequence) => callAsOld(old, client, sequence) };
  }
  const fresh = createClient(NEW, target, options);
  return { channel: fresh.channel, call: (client, sequence) => callAsNew(fresh, client, sequence) };
}

async function callAsOld(old: OldClient, client: number, sequence: number): Promise<void> {
  const shown: OldOrder = await old.place({ client, sequence, item: ASKS });
  // An old server shows what it was asked with; a new one an order full of what this release has no names for.
  if (Number(shown.state) !== SHIPPED) return;
  if (shown.$unknown === undefined) throw new Error(`order ${sequence} came without what this release does not know`);
  const again = await old.place(shown);
  if (!isDeepStrictEqual(again, shown)) throw new Error(`order ${sequence} came back changed`);
}

async function callAsNew(fresh: NewClient, client: number, sequence: number): Promise<void> {
  const order = await fresh.place(fullOrder(client, sequence));
  if (!isFull(order)) throw new Error(`order ${sequence} came back changed`);
  if (sequence % 10 !== 0) return;
  try {
    await fresh.cancel({ client, sequence });
  } catch (error) {
    // An old server does not know this method.
    if (RpcError.from(error).code !== Code.UNIMPLEMENTED) throw error;
  }
}
