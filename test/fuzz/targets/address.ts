import { formatAddress, parseAddress, parseListenAddress } from "../../../packages/bowline/src/net/address.ts";
import { checkAddress } from "../../../packages/bowline/src/registry/instance/address.ts";
import { parseTarget, printTarget } from "../../../packages/bowline/src/registry/target/target.ts";
import { type FuzzTarget, fault } from "../engine/fuzz-target.ts";

const MAX_ERROR_CHARACTERS = 4096;

/** What the reader gives; undefined when it refuses with the error that it promises. */
function read<T>(reader: () => T, kind: typeof TypeError | typeof RangeError): T | undefined {
  try {
    return reader();
  } catch (error) {
    if (!(error instanceof kind) || error.message.length > MAX_ERROR_CHARACTERS) throw error;
    return undefined;
  }
}

function judge(text: string): void {
  const target = read(() => parseTarget(text), TypeError);
  if (target !== undefined) {
    const printed = printTarget(target);
    const again = JSON.stringify(parseTarget(printed));
    if (again !== JSON.stringify(target))
      fault(`${JSON.stringify(text)} is printed as ${printed}, which reads as ${again}`);
  }
  const listen = read(() => parseListenAddress(text), RangeError);
  if (listen !== undefined) {
    const again = JSON.stringify(parseListenAddress(formatAddress(listen)));
    if (formatAddress(JSON.parse(again)) !== formatAddress(listen))
      fault(`${JSON.stringify(text)} is formatted as another address`);
  }
  const dialled = read(() => parseAddress(text), RangeError);
  if (dialled !== undefined && listen === undefined) fault("an address to connect to is none to listen on");
  const address = read(() => checkAddress(text, "address"), TypeError);
  if (address !== undefined && checkAddress(address, "address") !== address) fault(`${address} is not in its one form`);
}

const SEEDS = [
  "static:///a:1,10.0.0.7:8080,[::1]:3",
  "dns://8.8.8.8:53/user.internal:8080",
  "local://shop/user.rpc",
  "unix:///run/a%20b.sock",
  "unix:a",
  "user.rpc",
  "[fe80::1%25eth0]:80",
  "käse.example:80",
  ":8080",
  "direct:///%5B::1%5D:80",
  "[::ffff:10.0.0.7]:1",
  "etcd://a/b",
];

/** Targets and addresses as users and registries write them. */
export function addressTarget(): FuzzTarget {
  return {
    name: "address",
    what: "targets (URLs) and addresses",
    covers: ["registry/target", "registry/instance/address.ts", "net/address.ts"],
    maxBytes: 300,
    tokens: [
      "://",
      "///",
      "dns",
      "static:///",
      "local://",
      "unix:",
      "%25",
      "%2F",
      "%00",
      "[",
      "]",
      "::",
      ":0",
      ":65535",
      ":65536",
      "ü",
      "xn--",
      ".",
      "..",
      ",",
      "@",
      "?",
      "#",
      "\\",
    ].map((text) => Buffer.from(text)),
    seeds: SEEDS.map((text) => Buffer.from(text)),
    run(input) {
      judge(input.toString("utf8"));
      judge(input.toString("latin1"));
    },
  };
}
