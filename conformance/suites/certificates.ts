import { dirname, join } from "node:path";

/** Files of a test authority and of a server's certificate that it signed, and the name in it. */
export interface TestCertificates {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
  readonly serverName: string;
}

/** grpc-go's own test certificates (its testdata folder), which conformance/tools/get puts beside its programs. */
export function testCertificates(grpcGoProgram: string): TestCertificates {
  const folder = dirname(grpcGoProgram);
  return {
    ca: join(folder, "ca.pem"),
    certificate: join(folder, "server1.pem"),
    key: join(folder, "server1.key"),
    serverName: "foo.test.google.fr",
  };
}
