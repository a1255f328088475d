import { Host, type Undo } from "./host.ts";
import type { Subnet } from "./subnet.ts";

/** A port of a router that stands for one behind it. */
export interface ForwardedPort {
  /** The side that calls come from. */
  readonly outside: Subnet;
  /** Port of the router's address there. */
  readonly port: number;
  /** Address and port of who gets them, as in `192.168.1.2:8080`. */
  readonly to: string;
}

/** A host that passes on what is not meant for itself, and may translate addresses (NAT). */
export class Router extends Host {
  constructor(name: string, switches: string) {
    super(name, switches);
    this.setKernel("net.ipv4.ip_forward", 1);
  }

  /** What leaves to `outside` seems to come from the router itself: nobody there sees the addresses behind it, or can call them. */
  masquerade(outside: Subnet): void {
    this.iptables("-t", "nat", "-A", "POSTROUTING", "-o", this.link(outside), "-j", "MASQUERADE");
  }

  /** Passes on nothing from `outside` but answers, and what a port is forwarded for: the private side can't be called. */
  shield(outside: Subnet): void {
    const allowed = ["-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED,DNAT", "-j", "ACCEPT"];
    this.iptables("-A", "FORWARD", "-i", this.link(outside), ...allowed);
    this.iptables("-A", "FORWARD", "-i", this.link(outside), "-j", "DROP");
  }

  /** Passes connections to a port of its own on to somebody else (DNAT), until the returned function is called. */
  forwardPort({ outside, port, to }: ForwardedPort): Undo {
    const own = ["-d", this.address(outside), "-p", "tcp", "--dport", String(port)];
    return this.#addRule("PREROUTING", [...own, "-j", "DNAT", "--to-destination", to]);
  }

  /**
   * What goes to an address that can't be reached goes to another: `iptables -t nat -A PREROUTING -d FROM -j DNAT --to-destination TO`.
   * Also for what the router itself sends.
   */
  rewrite(from: string, to: string): Undo {
    const rule = ["-d", from, "-j", "DNAT", "--to-destination", to];
    const undone = [this.#addRule("PREROUTING", rule), this.#addRule("OUTPUT", rule)];
    return () => {
      for (const undo of undone) undo();
    };
  }

  /**
   * Forgets a TCP connection that was silent for so long, as NAT boxes do, and says nothing to those who go on using it: both sides keep
   * a connection that leads nowhere. Whole seconds from 1 on.
   */
  forgetAfter(seconds: number): void {
    if (!Number.isInteger(seconds) || seconds < 1) {
      throw new RangeError(`seconds is ${seconds}: give a whole number of seconds from 1 on`);
    }
    // A packet in the middle of a connection that is not known must not make it known again.
    this.setKernel("net.netfilter.nf_conntrack_tcp_loose", 0);
    for (const timeout of ["established", "unacknowledged", "max_retrans"]) {
      this.setKernel(`net.netfilter.nf_conntrack_tcp_timeout_${timeout}`, seconds);
    }
    for (const chain of ["INPUT", "FORWARD"]) {
      this.iptables("-I", chain, "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP");
    }
  }

  /** True while it remembers a connection that goes to an address. */
  remembers(address: string): boolean {
    const flows = this.run("cat", "/proc/net/nf_conntrack").split("\n");
    return flows.some((flow) => flow.includes("ESTABLISHED") && flow.includes(`dst=${address} `));
  }

  #addRule(chain: string, rule: readonly string[]): Undo {
    this.iptables("-t", "nat", "-A", chain, ...rule);
    let isUndone = false;
    return () => {
      if (isUndone) return;
      isUndone = true;
      this.iptables("-t", "nat", "-D", chain, ...rule);
    };
  }
}
