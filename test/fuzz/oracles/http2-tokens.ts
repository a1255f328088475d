import { encodeLiterals } from "bowline/testing";

/** Frame headers, settings and header fields that HTTP/2 and gRPC know. */
export const HTTP2_TOKENS: readonly Uint8Array[] = [
  ...Array.from({ length: 11 }, (_, type) => Buffer.of(0, 0, 0, type, 0, 0, 0, 0, 1)),
  Buffer.of(0, 0, 0, 4, 1, 0, 0, 0, 0),
  Buffer.of(0, 0, 0, 0, 1, 0, 0, 0, 1),
  Buffer.of(0, 0, 4, 8, 0, 0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff),
  Buffer.from("0001000000000004000000000005000040000006ffffffff", "hex"),
  Buffer.from("0000000005", "hex"),
  Buffer.from("0100000000", "hex"),
  ...[
    ["content-length", "3"],
    ["grpc-encoding", "gzip"],
    ["grpc-timeout", "1n"],
    ["grpc-status", "0"],
    ["grpc-message", "%zz"],
    ["te", "trailers"],
    ["connection", "close"],
    ["k-bin", "!"],
    [":path", "/peer.v1.Echo/Unary"],
    [":status", "100"],
    ["X", "y"],
  ].map(([name, value]) => encodeLiterals([[name, value]])),
];
