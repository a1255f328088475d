import { readFile } from "node:fs/promises";
import { CommandError } from "../../command-error.ts";

/** Certificates in PEM, read from the files that flags name. */
export interface TlsFiles {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

/** The flags of a command that calls servers. */
export interface TlsFlags {
  readonly tls?: boolean;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

/** Undefined when no flag asks for TLS. @throws CommandError for a file that can't be read, or half of a pair */
export async function readTlsFiles(flags: TlsFlags): Promise<TlsFiles | undefined> {
  const { tlsCa, tlsCert, tlsKey } = flags;
  if (flags.tls !== true && tlsCa === undefined && tlsCert === undefined && tlsKey === undefined) return undefined;
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new CommandError("--tls-cert and --tls-key belong together", "Give both, or none.");
  }
  return {
    ...(tlsCa === undefined ? {} : { ca: await read("--tls-ca", tlsCa) }),
    ...(tlsCert === undefined ? {} : { cert: await read("--tls-cert", tlsCert) }),
    ...(tlsKey === undefined ? {} : { key: await read("--tls-key", tlsKey) }),
  };
}

async function read(flag: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new CommandError(`${flag} ${path} can't be read: ${(error as Error).message}`);
  }
}
