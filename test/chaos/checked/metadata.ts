/** Key of the metadata that names a call, `CLIENT/SEQUENCE`. */
export const CALL_KEY = "chaos-call";
