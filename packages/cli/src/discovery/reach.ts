import { type ClientOptions, createClient, silentLogger } from "bowline";
import { Health } from "bowline/grpc/health";
import type { Address, Instance, Registry } from "bowline/registry";
import { CommandError } from "../command-error.ts";

/** The flags that say which client it is whose way is looked at. */
export interface ReachFlags {
  /** The client's option `networks`, in order of preference. */
  readonly network?: readonly string[];
  /** The client's option `rewrite`, each rule as `from=to`. */
  readonly rewrite?: readonly string[];
}

/** Where a client goes for an instance, and why. */
export interface Reach {
  /** What is dialled. */
  readonly address: string;
  /** Which of the instance's addresses was taken. */
  readonly told: Address;
  /** The flag's text of the rule that made `address` of it; null if none did. */
  readonly rewrite: string | null;
}

/** Gives, of those instances that have an address for the client, where it goes. */
export type Reaching = (instances: readonly Instance[]) => ReadonlyMap<Instance, Reach>;

type Settings = Pick<ClientOptions, "networks" | "rewrite">;

/** True if a flag says which client it is. */
export function namesClient({ network, rewrite }: ReachFlags): boolean {
  return network !== undefined || rewrite !== undefined;
}

/** What a client with these flags as its options does. @throws CommandError for flags that the client refuses */
export function reachOf(flags: ReachFlags): Reaching {
  const { network: networks = [], rewrite: texts = [] } = flags;
  const rules = texts.map(readRule);
  refuseWhatClientRefuses({ networks, rewrite: rules }, texts);
  return (instances) => {
    const chosen = askClient(instances, { networks });
    const dialled = rules.length === 0 ? chosen : askClient(instances, { networks, rewrite: rules });
    const byRule = rules.map((rule) => askClient(instances, { networks, rewrite: [rule] }));
    const reaches = new Map<Instance, Reach>();
    for (const [instance, address] of dialled) {
      const told = toldAs(chosen.get(instance) ?? address, instance.addresses, networks);
      const rule = address === told.address ? -1 : byRule.findIndex((each) => each.get(instance) === address);
      reaches.set(instance, { address, told, rewrite: texts[rule] ?? null });
    }
    return reaches;
  };
}

/** Why a client takes an address, as the rest of a sentence; empty where there is nothing to choose. */
export function whyTaken({ told }: Reach, { addresses }: Instance, networks: readonly string[]): string {
  if (networks.length > 0 && told.network !== "") return `for its network ${told.network}`;
  if (networks.length > 0) return "because it has no label: it can be reached from anywhere";
  if (addresses.length === 1) return "";
  return told.network === "" ? "because it has no label" : "as the first: the client names no networks";
}

/** An address as registries show it, with the label of its network. */
export function labelled({ address, network }: Address): string {
  return network === "" ? address : `${network}=${address}`;
}

/** Where a client goes, in a line: the address, its label, what a rule has replaced; or what there is in vain. */
export function reachText(reach: Reach | null, addresses: readonly Address[]): string {
  if (reach === null) return `none of ${addresses.map(labelled).join(" ")}`;
  const { address, told, rewrite } = reach;
  return rewrite === null ? labelled(told) : `${address} for ${labelled(told)}`;
}

type Rule = NonNullable<ClientOptions["rewrite"]>[number];

function readRule(text: string): Rule {
  const equals = text.indexOf("=");
  if (equals > 0) return { from: text.slice(0, equals), to: text.slice(equals + 1) };
  throw new CommandError(`--rewrite ${text} is no rule`, "Write from=to, such as 10.0.0.0/24=203.0.113.9.");
}

function refuseWhatClientRefuses(settings: Settings, texts: readonly string[]): void {
  try {
    askClient([], settings);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const [start, option, index, part] = /^createClient options\.(\w+)\[(\d+)\]\.?(\w*) */.exec(error.message) ?? [""];
    const rest = error.message.slice(start.length);
    if (option === undefined) throw new CommandError(rest);
    if (option === "networks") throw new CommandError(`--network ${rest}`);
    throw new CommandError(`--rewrite ${texts[Number(index)]}: ${part} ${rest}`);
  }
}

/**
 * The address that a client dials, of each instance that it finds one for. A client is asked itself, so that there is one rule; of
 * instances without weight it dials none.
 */
function askClient(instances: readonly Instance[], settings: Settings): ReadonlyMap<Instance, string> {
  const options = { ...settings, registry: telling(instances), snapshotFolder: false, logger: silentLogger } as const;
  const { channel, close } = createClient(Health, "instances", options);
  // It looks at the registry as soon as somebody wants to connect; that nothing comes of that is as it should be.
  channel.connect(AbortSignal.abort()).catch(() => undefined);
  const dialled = channel.endpoints.map(({ instance, address }) => [instances[Number(instance.id)], address] as const);
  void close();
  return new Map(dialled);
}

/** Knows these instances by their places in the list, each without weight. */
function telling(instances: readonly Instance[]): Registry {
  const nobodysCalls = instances.map((instance, index) => ({ ...instance, id: String(index), weight: 0 }));
  return {
    name: "told",
    register: () => Promise.reject(new TypeError("nothing is registered here")),
    watch(_service, handler) {
      handler.snapshot({ instances: nobodysCalls, revision: 1, freshness: "live" });
      return { refresh: () => undefined, close: () => undefined };
    },
    close: () => Promise.resolve(),
  };
}

function toldAs(address: string, addresses: readonly Address[], networks: readonly string[]): Address {
  const same = addresses.filter((each) => each.address === address);
  return same.find(({ network }) => networks.includes(network)) ?? same[0];
}
