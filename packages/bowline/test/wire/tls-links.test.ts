import { once } from "node:events";
import { connect } from "node:tls";
import { describe, expect, it } from "vitest";
import { socketNetwork } from "../../src/net/network.ts";
import { RawPeer } from "../../src/testing/raw-peer.ts";
import { certPair } from "../certs.ts";
import { expectEcho, WireServer } from "./wire-server.ts";

describe("a TLS connection", () => {
  it("lives through any number of PINGs whose answers are read, though its socket is never idle right after a write", async () => {
    await using wire = await WireServer.start(
      {},
      { network: socketNetwork, listen: "127.0.0.1:0", tls: certPair("server"), limits: { maxPendingAcks: 20 } },
    );
    const socket = connect({
      port: wire.server.port,
      host: "127.0.0.1",
      ALPNProtocols: ["h2"],
      rejectUnauthorized: false,
    });
    await once(socket, "secureConnect");
    const client = new RawPeer(socket, { role: "client", acknowledges: true });
    await client.handshake();
    for (let i = 0; i < 100; i++) await client.roundTrip();
    await expectEcho(client, 1);
    expect(wire.server.misbehaved.size).toBe(0);
    socket.destroy();
  });
});
