export { type AppTokenOptions, type AppTokens, appToken } from "./app-token.ts";
export {
  type AuthenticationRequest,
  type Authenticator,
  type AuthenticatorHost,
  type Identity,
  unauthenticated,
} from "./authenticator.ts";
export { type BearerOptions, bearer, type TokenOwner } from "./bearer.ts";
export {
  type AppCredentialsOptions,
  appCredentials,
  type BearerCredentialsOptions,
  bearerCredentials,
  type CallCredentials,
  type Credential,
} from "./call-credentials.ts";
export { type MutualTlsOptions, mutualTls } from "./mutual-tls.ts";
export { sameSecret } from "./same-secret.ts";
export type { ExpiringToken, TokenSource } from "./token-source.ts";
export type { TokenCacheOptions } from "./verified-tokens.ts";
