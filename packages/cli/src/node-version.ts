/** The oldest Node that runs Bowline, as package.json's `engines` has it. */
const OLDEST = [22, 18] as const;

/** What to tell a user whose Node is too old, `process.versions.node` being its version; undefined if it will do. */
export function tooOldNode(version: string): string | undefined {
  const [major, minor] = version.split(".").map(Number);
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return undefined;
  return `bowline needs Node ${OLDEST.join(".")} or newer, this is ${version}: https://nodejs.org/en/download has it`;
}
