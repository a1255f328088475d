import { etcd } from "../registry/etcd/etcd.ts";
import type { EtcdOptions, EtcdTlsSettings } from "../registry/etcd/options.ts";
import type { RegistryConfig } from "../registry/registry-config.ts";
import type { Section } from "./section.ts";

/** A service in etcd. */
export interface EtcdPlace {
  readonly hosts: readonly string[];
  readonly key: string;
  readonly registry: RegistryConfig;
  /** Neither user nor certificates: a target can name it. */
  readonly isPlain: boolean;
}

/** An int64. */
const ID = { min: -(2 ** 63), max: 2 ** 63 };

/**
 * Reads `EtcdConf` (core/discov/config.go); undefined without hosts or key, which is no etcd for go-zero either.
 *
 * @throws TypeError that names the field
 */
export function readEtcd(section: Section): EtcdPlace | undefined {
  const hosts = section.texts("Hosts");
  const key = section.text("Key");
  if (hosts === undefined) throw section.fault("Hosts", undefined, "give the addresses of etcd, [10.0.0.1:2379]");
  if (key === undefined) throw section.fault("Key", undefined, "give the name of the service, user.rpc");
  if ((section.number("ID", ID) ?? 0) > 0) {
    section.note("ID", "an instance's key ends in the id of its lease, which no client reads");
  }
  const login = readLogin(section);
  const tls = readTls(section);
  section.noteUnknown("EtcdConf");
  if (hosts.length === 0 || key === "") {
    section.note(hosts.length === 0 ? "Hosts" : "Key", "is empty: etcd is not used");
    return undefined;
  }
  const options: EtcdOptions = { hosts, ...login, ...(tls === undefined ? {} : { tls }) };
  const registry = section.checked("Hosts", () => etcd(options));
  return { hosts, key, registry, isPlain: login === undefined && tls === undefined };
}

function readLogin(section: Section): { readonly user: string; readonly password: string } | undefined {
  const user = section.text("User") ?? "";
  const password = section.secret("Pass") ?? "";
  if (user !== "" && password !== "") return { user, password };
  // go-zero goes without both then.
  if (user !== "" || password !== "") section.note(user === "" ? "User" : "Pass", "is missing: etcd gets neither");
  return undefined;
}

function readTls(section: Section): EtcdTlsSettings | undefined {
  const [certificate = "", key = "", authorities = ""] = ["CertFile", "CertKeyFile", "CACertFile"].map((name) =>
    section.text(name),
  );
  const skips = section.flag("InsecureSkipVerify") ?? false;
  const given = [certificate, key, authorities].filter((file) => file !== "").length;
  if (given === 0) {
    if (skips) section.note("InsecureSkipVerify", "means nothing without the three files of certificates");
    return undefined;
  }
  if (given < 3) {
    const missing = certificate === "" ? "CertFile" : key === "" ? "CertKeyFile" : "CACertFile";
    throw section.fault(missing, undefined, "CertFile, CertKeyFile and CACertFile stand together");
  }
  return { certificate, key, authorities, ...(skips ? { dangerouslySkipVerification: true } : {}) };
}
