import { describe, expect, it } from "vitest";
import { type AdvertiseWorld, advertise } from "./advertise.ts";
import type { AdvertiseOption } from "./advertise-option.ts";
import type { InterfaceAddress, Interfaces } from "./interfaces.ts";

function at(address: string, internal: boolean = false): InterfaceAddress {
  return { address, family: address.includes(":") ? "IPv6" : "IPv4", internal };
}

/** A server with everything that makes a choice hard. */
const MACHINE: Interfaces = {
  lo: [at("127.0.0.1", true), at("::1", true)],
  docker0: [at("172.17.0.1")],
  "br-4f1c2d": [at("172.18.0.1")],
  tun0: [at("10.8.0.6")],
  eth0: [at("203.0.113.9"), at("2001:db8::9"), at("fe80::1")],
  eth1: [at("10.0.0.7"), at("fd00::7")],
};
const ONE: Interfaces = {
  lo: [at("127.0.0.1", true)],
  docker0: [at("172.17.0.1")],
  eth0: [at("10.0.0.7"), at("fd00::7")],
};
const NONE: Interfaces = { lo: [at("127.0.0.1", true), at("::1", true)] };

function world(change: Partial<AdvertiseWorld> = {}): AdvertiseWorld {
  return {
    bound: "0.0.0.0:8080",
    interfaces: MACHINE,
    environment: {},
    isMachineOnly: false,
    reachedFrom: null,
    portOffset: 0,
    ...change,
  };
}

/** The one address that comes out. */
function one(option: AdvertiseOption | undefined, change: Partial<AdvertiseWorld> = {}): string {
  const { addresses } = advertise(option, [], world(change));
  expect(addresses).toHaveLength(1);
  expect(addresses[0].network).toBe("");
  return addresses[0].address;
}

function refusal(option: AdvertiseOption | undefined, change: Partial<AdvertiseWorld> = {}): string {
  try {
    advertise(option, [], world(change));
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("it was accepted");
}

describe("the third of several servers that each have a port", () => {
  const third = { bound: "0.0.0.0:8082", portOffset: 2 };

  it("counts up what variables name, where they do", () => {
    const environment = { HOST: "lb.example.com:30080", BARE: "fd00::7", SOCKET: "unix:/run/user.sock" };
    expect(one("env:HOST", { ...third, environment })).toBe("lb.example.com:30082");
    expect(one("env:BARE", { ...third, environment })).toBe("[fd00::7]:8082");
    expect(one("env:SOCKET", { ...third, environment })).toBe("unix:/run/user.sock");
    const texts = "vpc-a=interface:eth1, vpc-b=cidr:10.0.0.0/16:7000, public=203.0.113.9:30080, env:HOST".split(", ");
    const all = { ...environment, BOWLINE_ADVERTISE: texts.join() };
    expect(advertise(undefined, [], world({ ...third, environment: all })).addresses).toEqual([
      { network: "vpc-a", address: "10.0.0.7:8082" },
      { network: "vpc-b", address: "10.0.0.7:7002" },
      { network: "public", address: "203.0.113.9:30082" },
      { network: "", address: "lb.example.com:30082" },
    ]);
  });

  it("takes the ports of the option as they are, which are counted up already", () => {
    expect(one("lb.example.com:30082", third)).toBe("lb.example.com:30082");
  });

  it("says that there is no port left, and in which variable", () => {
    const environment = { HOST: "lb:65534", BOWLINE_ADVERTISE: "lb:65535" };
    expect(refusal("env:HOST", { ...third, environment })).toMatch(/^the variable HOST: .*65536/);
    expect(refusal(undefined, { ...third, environment })).toMatch(/^BOWLINE_ADVERTISE: .*65537/);
  });
});

describe("what a server advertises by itself", () => {
  const choices: readonly [string, Partial<AdvertiseWorld>, string][] = [
    ["what was bound, where that is one address", { bound: "10.0.0.7:80" }, "10.0.0.7:80"],
    ["a name that was bound", { bound: "notes:1" }, "notes:1"],
    ["a Unix socket", { bound: "unix:/run/user.sock" }, "unix:/run/user.sock"],
    ["loopback, where the registry is this machine's own", { isMachineOnly: true }, "127.0.0.1:8080"],
    ["loopback of IPv6 there", { isMachineOnly: true, bound: "[::]:80" }, "[::1]:80"],
    ["the address by which the registry is reached", { reachedFrom: "10.0.0.7" }, "10.0.0.7:8080"],
    ["the same in IPv6", { bound: "[::]:80", reachedFrom: "fd00::7" }, "[fd00::7]:80"],
    ["IPv4 of the same interface for a listener of IPv4", { reachedFrom: "fd00::7" }, "10.0.0.7:8080"],
    [
      "the machine's address, where the registry is on the machine",
      { interfaces: ONE, reachedFrom: "127.0.0.1" },
      "10.0.0.7:8080",
    ],
    ["the same where it can't be reached yet", { interfaces: ONE }, "10.0.0.7:8080"],
    ["no bridge of containers", { interfaces: ONE, reachedFrom: "172.17.0.1" }, "10.0.0.7:8080"],
    ["no VPN", { reachedFrom: "10.8.0.6" }, "203.0.113.9:8080"],
    ["a VPN where there is nothing else", { interfaces: { tun0: [at("10.8.0.6")] } }, "10.8.0.6:8080"],
    [
      "the VPN of the registry where there is nothing else",
      { interfaces: { tun0: [at("10.8.0.6")] }, reachedFrom: "10.8.0.6" },
      "10.8.0.6:8080",
    ],
    [
      "IPv6 where there is nothing else",
      { bound: "[::]:80", interfaces: { eth0: [at("fe80::1"), at("fd00::7")] } },
      "[fd00::7]:80",
    ],
    ["loopback where there is nothing else", { interfaces: NONE }, "127.0.0.1:8080"],
    ["POD_IP for a wildcard", { environment: { POD_IP: "10.1.2.3" }, reachedFrom: "10.0.0.7" }, "10.1.2.3:8080"],
    [
      "POD_IP of IPv6, as Kubernetes writes it",
      { bound: "[::]:80", environment: { POD_IP: "fd00::3" } },
      "[fd00::3]:80",
    ],
    ["what was bound, and not POD_IP", { bound: "10.0.0.7:80", environment: { POD_IP: "10.1.2.3" } }, "10.0.0.7:80"],
    [
      "no POD_IP in a registry of this machine",
      { isMachineOnly: true, environment: { POD_IP: "10.1.2.3" } },
      "127.0.0.1:8080",
    ],
    [
      "BOWLINE_ADVERTISE before POD_IP",
      { environment: { POD_IP: "10.1.2.3", BOWLINE_ADVERTISE: "10.9.9.9" } },
      "10.9.9.9:8080",
    ],
    [
      "BOWLINE_ADVERTISE before what was bound",
      { bound: "[::1]:80", environment: { BOWLINE_ADVERTISE: "cidr:fd00::/8" } },
      "[fd00::7]:80",
    ],
  ];
  it.each(choices)("%s", (_name, change, address) => {
    expect(one(undefined, change)).toBe(address);
  });

  it("says why it took one of several, and that the registry may know better", () => {
    const { addresses, notes, isProvisional } = advertise("auto", [], world());
    expect(addresses).toEqual([{ address: "203.0.113.9:8080", network: "" }]);
    expect(isProvisional).toBe(true);
    expect(notes).toEqual([
      "advertises 203.0.113.9 of several (lo 127.0.0.1 (loopback), lo ::1 (loopback), docker0 172.17.0.1 (container bridge), " +
        "br-4f1c2d 172.18.0.1 (container bridge), tun0 10.8.0.6 (VPN), eth0 203.0.113.9, eth0 2001:db8::9, " +
        'eth0 fe80::1 (link-local), eth1 10.0.0.7, eth1 fd00::7); if that is the wrong one write advertise: "interface:…" or "cidr:…"',
    ]);
    expect(advertise("auto", [], world({ reachedFrom: "127.0.0.1" })).isProvisional).toBe(false);
    expect(advertise("auto", [], world({ reachedFrom: "10.0.0.7" })).notes).toEqual([]);
    expect(advertise("auto", [], world({ interfaces: ONE, reachedFrom: "127.0.0.1" })).notes).toEqual([]);
  });

  it("may know better once the registry is reached, where one interface has both versions of IP", () => {
    const both = { interfaces: ONE, bound: "[::]:80" };
    const { addresses, notes, isProvisional } = advertise("auto", [], world(both));
    expect([addresses[0].address, notes, isProvisional]).toEqual(["10.0.0.7:80", [], true]);
    expect(one("auto", { ...both, reachedFrom: "fd00::7" })).toBe("[fd00::7]:80");
    expect(advertise("auto", [], world({ interfaces: ONE })).isProvisional).toBe(false);
  });

  it("says that it left a VPN, and how to have it", () => {
    const { notes } = advertise("auto", [], world({ reachedFrom: "10.8.0.6" }));
    expect(notes).toEqual([
      "the registry is reached over tun0, which looks like a VPN: advertises 203.0.113.9 of eth0 instead; " +
        'for the other write advertise: "interface:tun0"',
    ]);
  });

  it("says that only this machine can reach loopback", () => {
    const { notes } = advertise("auto", [], world({ interfaces: NONE }));
    expect(notes).toEqual([expect.stringMatching(/^advertises loopback, which only this machine can reach/)]);
  });
});

describe("advertise", () => {
  const forms: readonly [AdvertiseOption, string, Partial<AdvertiseWorld>?][] = [
    ["user.example.com:443", "user.example.com:443"],
    ["203.0.113.9", "203.0.113.9:8080"],
    ["[2001:db8::9]", "[2001:db8::9]:8080"],
    ["[2001:db8::9]:443", "[2001:db8::9]:443"],
    ["unix:/run/user.sock", "unix:/run/user.sock"],
    ["auto:443", "10.0.0.7:443", { reachedFrom: "10.0.0.7" }],
    ["interface:eth1", "10.0.0.7:8080"],
    ["interface:eth1:9000", "10.0.0.7:9000"],
    ["interface:eth1", "10.0.0.7:80", { bound: "[::]:80" }],
    ["interface:docker0", "172.17.0.1:8080"],
    ["cidr:10.8.0.0/16", "10.8.0.6:8080"],
    ["cidr:10.0.0.0/24:9000", "10.0.0.7:9000"],
    ["cidr:fd00::/8", "[fd00::7]:80", { bound: "[::]:80" }],
    ["cidr:127.0.0.0/8", "127.0.0.1:8080"],
    ["env:HOST_IP", "198.51.100.4:8080", { environment: { HOST_IP: "198.51.100.4" } }],
    ["env:HOST", "lb.example.com:443", { environment: { HOST: " lb.example.com:443 " } }],
  ];
  it.each(forms)("%s is %s", (option, address, change = {}) => {
    expect(one(option, change)).toBe(address);
    const label = advertise([{ network: "vpc-a", address: option as string }], [], world(change));
    expect(label.addresses).toEqual([{ address, network: "vpc-a" }]);
  });

  it("takes an address for each network, in the order given", () => {
    const list = [
      { network: "vpc-a", address: "interface:eth1" },
      { network: "public", address: "203.0.113.9:30080" },
    ];
    expect(advertise(list, [], world()).addresses).toEqual([
      { network: "vpc-a", address: "10.0.0.7:8080" },
      { network: "public", address: "203.0.113.9:30080" },
    ]);
  });

  it("takes the same from the environment", () => {
    const environment = { BOWLINE_ADVERTISE: "vpc-a=interface:eth1, public=203.0.113.9:30080" };
    expect(advertise(undefined, [], world({ environment })).addresses).toEqual([
      { network: "vpc-a", address: "10.0.0.7:8080" },
      { network: "public", address: "203.0.113.9:30080" },
    ]);
  });

  it("labels its address with the networks that the server is in", () => {
    expect(advertise("10.0.0.7", ["vpc-a", "vpc-b"], world()).addresses).toEqual([
      { network: "vpc-a", address: "10.0.0.7:8080" },
      { network: "vpc-b", address: "10.0.0.7:8080" },
    ]);
  });

  const list = "there are lo 127.0.0.1 (loopback), lo ::1 (loopback), docker0 172.17.0.1 (container bridge), ";
  it.each<[AdvertiseOption | undefined, string, Partial<AdvertiseWorld>?]>([
    [
      "interface:eth7",
      `createServer options.advertise: this machine has no interface eth7 with a usable address; ${list}`,
    ],
    ["cidr:192.168.0.0/16", `createServer options.advertise: this machine has no address in 192.168.0.0/16; ${list}`],
    ["cidr:fd00::/8", "this machine has no address in fd00::/8"],
    ["env:HOST_IP", "createServer options.advertise: the variable HOST_IP is not set; set it to host or host:port"],
    [
      "env:HOST_IP",
      'the variable HOST_IP is "auto": set it to host or host:port',
      { environment: { HOST_IP: "auto" } },
    ],
    [
      "env:HOST_IP",
      'the variable HOST_IP is "0.0.0.0:80": 0.0.0.0 is what',
      { environment: { HOST_IP: "0.0.0.0:80" } },
    ],
    [
      undefined,
      "BOWLINE_ADVERTISE: this machine has no interface eth7",
      { environment: { BOWLINE_ADVERTISE: "interface:eth7" } },
    ],
    [undefined, 'BOWLINE_ADVERTISE: address "10.0.0.7:http"', { environment: { BOWLINE_ADVERTISE: "10.0.0.7:http" } }],
    ["10.0.0.7", "10.0.0.7 needs a port, for the server listens on the Unix socket /run/a", { bound: "unix:/run/a" }],
    [
      [
        { network: "", address: "10.0.0.7" },
        { network: "", address: "interface:eth1" },
      ],
      "10.0.0.7:8080 stands there twice",
    ],
  ])("%j is refused at the start: %s", (option, text, change = {}) => {
    expect(refusal(option, change)).toContain(text);
  });
});
