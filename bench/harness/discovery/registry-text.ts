import { local } from "bowline";
import type { RegistryConfig } from "bowline/registry";
import { etcd } from "bowline/registry/etcd";

/** A registry as a program of the bench is told of it: `etcd=HOST:PORT` or `local=/folder`. */
export type RegistryText = `etcd=${string}` | `local=${string}`;

/** The registry of a text, with the defaults that a user has. @throws RangeError for another text */
export function registryOf(text: string): RegistryConfig {
  const [name, place] = [text.slice(0, text.indexOf("=")), text.slice(text.indexOf("=") + 1)];
  if (name === "etcd") return etcd(place);
  if (name === "local") return local({ directory: place });
  throw new RangeError(`${JSON.stringify(text)} is no registry: give etcd=HOST:PORT or local=/FOLDER`);
}
