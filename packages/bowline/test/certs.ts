import { join } from "node:path";

/** Path of a file in `test/certs`, which holds the certificates of the tests; `make.sh` there says what each is. */
export function certPath(name: string): string {
  return join(import.meta.dirname, "certs", name);
}

/** Settings that show the certificate `name` (`server`, `client`, …) and trust the test authority. */
export function certPair(name: string): { certificate: string; key: string } {
  return { certificate: certPath(`${name}.crt`), key: certPath(`${name}.key`) };
}
