import { describe, expect, it } from "vitest";
import { servicesAlike } from "./absent-service.ts";
import { isShared, registryUrl, serviceTarget } from "./registry-url.ts";

describe("a registry's URL", () => {
  it.each([
    ["etcd://10.0.0.1:2379/shop/user.rpc", "etcd://10.0.0.1:2379", "shop/user.rpc"],
    ["etcd://10.0.0.1:2379", "etcd://10.0.0.1:2379", ""],
    ["etcd://a:1,b:2/?tls=true", "etcd://a:1,b:2?tls=true", ""],
    ["etcd:///a:1,b:2?key=user%20rpc", "etcd://a:1,b:2", "user rpc"],
    ["etcd:///a:1?key=user.rpc&user=bob", "etcd://a:1?user=bob", "user.rpc"],
    ["etcd:///a:1?user=bob&key=user.rpc", "etcd://a:1?user=bob", "user.rpc"],
    ["consul://?dc=dc1", "consul://?dc=dc1", ""],
    ["consul:///user.rpc?dc=dc1", "consul://?dc=dc1", "user.rpc"],
    ["k8s://shop/user:grpc", "k8s://shop", "user:grpc"],
    ["local:///", "local://", ""],
    ["local:///100%", "local://", "100%"],
  ])("of %s is %s, and the service %j", (target, registry, service) => {
    expect(registryUrl(target)).toEqual({ registry, service });
  });

  it.each(["a:1", "user.rpc", "static:///a:1", "dns:///a:1", "unix:///run/a.sock", "srv:///a"])(
    "%s has none",
    (target) => {
      expect(registryUrl(target)).toBeNull();
    },
  );

  it.each([
    ["etcd://a:1", "shop/user.rpc", "etcd://a:1/shop/user.rpc"],
    ["etcd://a:1/?tls=true", "user rpc?", "etcd://a:1/user%20rpc%3F?tls=true"],
    ["k8s://shop", "user:grpc", "k8s://shop/user:grpc"],
    ["local://", "user.rpc", "local:///user.rpc"],
    ["consul://?dc=dc1", "user.rpc", "consul:///user.rpc?dc=dc1"],
  ])("%s with the service %s is %s", (url, service, target) => {
    expect(serviceTarget(url, service)).toBe(target);
    expect(registryUrl(target)?.service).toBe(service);
  });

  it.each([
    ["etcd://10.0.0.1:2379/user.rpc", true],
    ["etcd://127.0.0.1:2379/user.rpc", false],
    ["etcd://[::1]:2379,localhost:2379/user.rpc", false],
    ["etcd://127.0.0.1:2379,10.0.0.2:2379/user.rpc", true],
    ["consul://127.0.0.1:8500/user.rpc", true],
    ["k8s:///user:grpc", true],
    ["local:///user.rpc", false],
    ["10.0.0.1:8080", false],
  ])("of %s, others read it: %s", (target, expected) => {
    expect(isShared(target)).toBe(expected);
  });
});

it.each([
  ["usr.rpc", ["user.rpc"]],
  ["User", ["user.rpc", "user-admin.rpc"]],
  ["order-rpc", ["order.rpc"]],
  ["shop/order", ["order.rpc"]],
  ["billing.rpc", []],
])("names like %s are %j", (name, alike) => {
  expect(servicesAlike(name, ["order.rpc", "user.rpc", "user-admin.rpc"])).toEqual(alike);
});
