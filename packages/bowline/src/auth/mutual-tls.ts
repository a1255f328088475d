import { checkOptions, type OptionSpecs } from "../rpc/options.ts";
import { type Authenticator, unauthenticated } from "./authenticator.ts";

/** Which certificates count. */
export interface MutualTlsOptions {
  /** Only SPIFFE ids of these trust domains: `["shop"]` takes `spiffe://shop/…`. Default: any name that the authorities vouch for. */
  readonly trustDomains?: readonly string[];
}

const SPECS: OptionSpecs = { trustDomains: { kind: "array" } };
const SPIFFE = "URI:spiffe://";

/**
 * Callers show a certificate that the server's `tls.authorities` vouch for. Rules call them by a subject alternative name as it stands:
 * `URI:spiffe://shop/user`, `DNS:user.internal`, `IP Address:10.0.0.7`. The common name is no name (RFC 9525 §2). `identity.name` is the
 * SPIFFE id if there is one, else the first name.
 *
 * A certificate without such names is UNAUTHENTICATED, and so is one with a SPIFFE id beside another URI (X509-SVID §2).
 *
 * @throws TypeError for a trust domain that is none
 */
export function mutualTls(options: MutualTlsOptions = {}): Authenticator {
  checkOptions("mutualTls options", options, SPECS);
  const { trustDomains } = options;
  trustDomains?.forEach((each, index) => {
    if (typeof each === "string" && /^[a-z0-9._-]+$/.test(each)) return;
    const hint = 'give the name alone, in lower case, such as "shop.example"';
    throw new TypeError(`mutualTls options.trustDomains[${index}] is ${JSON.stringify(each)}: ${hint}`);
  });
  return {
    scheme: "mtls",
    required: "a client certificate is required",
    usesCertificate: true,
    authenticate({ peer: { tls } }) {
      if (tls?.authorized !== true) return null;
      const names = [...tls.subjectAltNames];
      const spiffeId = spiffeIdOf(names);
      if (trustDomains !== undefined && !trustDomains.some((each) => spiffeId?.startsWith(`${SPIFFE}${each}/`))) {
        throw unauthenticated("the client certificate has no SPIFFE id of a trust domain of this server");
      }
      const name = spiffeId ?? names[0];
      if (name === undefined) throw unauthenticated("the client certificate has no subject alternative name");
      return { scheme: "mtls", name: name.slice(name.indexOf(":") + 1), names, claims: {} };
    },
  };
}

/** The SPIFFE id among names; undefined without one. @throws RpcError UNAUTHENTICATED when there is another URI beside it */
function spiffeIdOf(names: readonly string[]): string | undefined {
  const uris = names.filter((name) => name.startsWith("URI:"));
  const spiffeId = uris.find((name) => name.startsWith(SPIFFE));
  if (spiffeId !== undefined && uris.length > 1) {
    throw unauthenticated("the client certificate has more than one URI: which of them is its SPIFFE id is not clear");
  }
  return spiffeId;
}
