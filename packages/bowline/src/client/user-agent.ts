import { version } from "../version.ts";

/** What our requests carry as `user-agent`: `grpc-bowline/0.1.0 (node)`, the form of gRPC PROTOCOL-HTTP2, "User Agents". */
export function userAgent(): string {
  return `grpc-bowline/${version}`;
}
