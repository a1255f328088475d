import type { Clock } from "../../rpc/clock.ts";
import { cryptoModule } from "../../rpc/platform.ts";
import type { HttpClient } from "../http/http-client.ts";
import { HttpError } from "../http/http-error.ts";
import { objectOf } from "../remote/instance-details.ts";
import { explainHttp, NacosError } from "./nacos-error.ts";
import type { NacosLogin } from "./options.ts";

interface Token {
  readonly text: string;
  /** Monotonic ms. */
  readonly expiresAt: number;
  /** From when on another is asked for. */
  readonly renewAt: number;
}

/** Where users log in: Nacos 2, and Nacos 3. */
const LOGIN_PATHS = ["/v1/auth/users/login", "/v3/auth/user/login"];
/** Statuses of a server that has no such path. */
const NO_SUCH_PATH: ReadonlySet<number> = new Set([404, 405, 410, 501]);
/** `nacos.core.auth.plugin.nacos.token.expire.seconds` where the answer does not say it. */
const DEFAULT_TTL_SECONDS = 18_000;
/** Part of a token's life in which it is used; after that there is time left to get another. */
const USED_PART = 0.8;

/** Who this process is for Nacos, as headers of requests. */
export class NacosCredentials {
  readonly #login: NacosLogin | undefined;
  readonly #http: HttpClient;
  readonly #clock: Clock;
  #token: Token | undefined;
  #asking: Promise<Token> | null = null;

  constructor(login: NacosLogin | undefined, http: HttpClient, clock: Clock) {
    this.#login = login;
    this.#http = http;
    this.#clock = clock;
  }

  /**
   * For a request about a service (`group@@name`) or, without one, any other. Logs in where that is needed; who comes meanwhile waits
   * for the same.
   *
   * Rejects with NacosError: `credentials` for a wrong user or password.
   */
  async headers(groupedService?: string): Promise<Record<string, string>> {
    if (this.#login === undefined) return {};
    if (this.#login.kind === "keys") return signed(this.#login.accessKey, this.#login.secretKey, groupedService);
    const { text } = await this.#current();
    return text === "" ? {} : { accessToken: text };
  }

  /** The token is not taken any more. False: another would be no better. */
  forget(token: string | undefined): boolean {
    if (token === undefined) return false;
    if (this.#token?.text === token) this.#token = undefined;
    return true;
  }

  async #current(): Promise<Token> {
    const now = this.#clock.fresh();
    const token = this.#token;
    if (token !== undefined && now < token.renewAt) return token;
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = null;
    });
    try {
      return await this.#asking;
    } catch (error) {
      if (token !== undefined && now < token.expiresAt) return token;
      throw error;
    }
  }

  async #ask(): Promise<Token> {
    const answer = await this.#logIn();
    const now = this.#clock.fresh();
    const { accessToken, tokenTtl } = objectOf(objectOf(answer).data ?? answer);
    if (answer !== undefined && typeof accessToken !== "string") {
      throw new NacosError("unreachable", "logging in: the answer has no accessToken; check that hosts is Nacos's API");
    }
    const ttlMs = (typeof tokenTtl === "number" && tokenTtl > 0 ? tokenTtl : DEFAULT_TTL_SECONDS) * 1000;
    const text = typeof accessToken === "string" ? accessToken : "";
    this.#token = { text, expiresAt: now + ttlMs, renewAt: now + ttlMs * USED_PART };
    return this.#token;
  }

  /** Undefined for a Nacos that has no users: whoever turns them off for a while need not restart the fleet. */
  async #logIn(): Promise<unknown> {
    if (this.#login?.kind !== "user") return undefined;
    const form = { username: this.#login.user, password: this.#login.password };
    for (const path of LOGIN_PATHS) {
      try {
        return (await this.#http.json({ method: "POST", path, form })).value;
      } catch (error) {
        if (error instanceof HttpError && NO_SUCH_PATH.has(error.status)) continue;
        throw loginError(error, this.#login.user);
      }
    }
    return undefined;
  }
}

function loginError(error: unknown, user: string): NacosError {
  const explained = explainHttp(error);
  // Releases before 2.1 answer 500 for a wrong password.
  const isWrong =
    explained.isPermanent ||
    (error instanceof HttpError && /unknown user|bad credentials|not found|password/i.test(error.text));
  if (!isWrong) return explained;
  const text = `logging in as ${JSON.stringify(user)} failed; check the options user and password`;
  return new NacosError("credentials", text, { cause: error });
}

/** As Nacos's own clients sign requests for naming, `NamingResourceInjector`: HMAC-SHA1 of the time, and the service if there is one. */
function signed(accessKey: string, secretKey: string, groupedService: string | undefined): Record<string, string> {
  // biome-ignore lint/nursery/noJsRestrictedProperties: the server compares it with its own wall time, which a Clock does not have
  const time = String(Date.now());
  const data = groupedService === undefined ? time : `${time}@@${groupedService}`;
  const signature = cryptoModule().createHmac("sha1", secretKey).update(data).digest("base64");
  return { ak: accessKey, data, signature };
}
