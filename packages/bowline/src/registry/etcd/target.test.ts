import { describe, expect, it } from "vitest";
import { readRemoteTarget } from "../remote-target.ts";
import { fromTarget } from "./target.ts";

function read(text: string): ReturnType<typeof fromTarget> {
  const scheme = text.slice(0, text.indexOf(":"));
  const target = readRemoteTarget(text, scheme, (_start, _end, problem) => new TypeError(problem));
  return fromTarget(target);
}

describe("a target in etcd", () => {
  const good: readonly [string, string][] = [
    ["etcd://10.0.0.1:2379/user.rpc", "user.rpc"],
    ["etcd://10.0.0.1:2379,10.0.0.2:2379/shop/user", "shop/user"],
    ["etcd:///10.0.0.1:2379,10.0.0.2:2379?key=user.rpc", "user.rpc"],
    ["discov://10.0.0.1:2379/user.rpc/", "user.rpc"],
    ["discov:///10.0.0.1:2379?key=user.rpc", "user.rpc"],
    ["etcd://[fd00::1]:2379/user.rpc?user=reader&prefix=staging/&tls=true", "user.rpc"],
  ];
  it.each(good)("%s names a service", (text, service) => {
    expect(read(text)).toMatchObject({ service, config: { name: "etcd" } });
  });

  const bad: readonly [string, RegExp][] = [
    ["etcd://10.0.0.1/user.rpc", /hosts\[0\].*has no port/],
    ["etcd://10.0.0.1:2379/", /lacks the name of the service/],
    ["etcd:///10.0.0.1:2379", /lacks the name of the service/],
    ["etcd:///?key=user.rpc", /names no host/],
    ["etcd://10.0.0.1:2379/a?key=b", /names the service twice/],
    ["etcd://10.0.0.1:2379/a?passwort=b", /"passwort" is no setting of etcd; known are key, user, prefix, tls/],
    ["etcd://10.0.0.1:2379/a?tls=maybe", /tls that is not true or false/],
    ["etcd://10.0.0.1:2379,10.0.0.1:2379/a", /listed twice/],
    ["etcd://10.0.0.1:2379/bowline/instances/a", /another name/],
  ];
  it.each(bad)("%s is refused with a reason", (text, message) => {
    expect(() => read(text)).toThrow(TypeError);
    expect(() => read(text)).toThrow(message);
  });

  it("may hold no password, and does not repeat it", () => {
    const refused = (): unknown => read("etcd://10.0.0.1:2379/user.rpc?user=a&password=s3cret");
    expect(refused).toThrow(/BOWLINE_ETCD_PASSWORD/);
    expect(refused).not.toThrow(/s3cret/);
  });
});
