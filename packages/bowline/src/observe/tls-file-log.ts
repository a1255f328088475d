import type { TlsEnvironment } from "../net/tls/tls-files.ts";
import type { Logger } from "./logger.ts";

/**
 * Says in the log what has become of TLS files that changed, with `fields` in each line. What can't be used is an error: calls go on
 * until the certificates from before run out, and fail from then on.
 */
export function tlsFileLog(
  logger: Logger,
  fields: object = {},
): Required<Pick<TlsEnvironment, "onReload" | "onError">> {
  return {
    onReload(certificate) {
      const text = "the TLS files have changed: connections that are made from now on use the new ones";
      if (certificate === undefined) return logger.info(fields, text);
      const { subject, serialNumber, validUntilMs } = certificate;
      const validUntil = new Date(validUntilMs).toISOString();
      logger.info({ ...fields, certificate: { subject, serialNumber, validUntil } }, text);
    },
    // Its text names the option and the file.
    onError: ({ message }) => logger.error(fields, message),
  };
}
