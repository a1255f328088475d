/** What an audit of the installed packages comes to. */
export interface AuditVerdict {
  readonly outcome: "passed" | "failed" | "skipped";
  /** In words: counts, packages, or why there is no answer. */
  readonly text: string;
}

const SEVERITIES = ["critical", "high", "moderate", "low", "info"] as const;
/** Lesser ones are told, but are no reason to hold a release back. */
const BARRED: ReadonlySet<string> = new Set(["critical", "high", "moderate"]);

interface AuditReport {
  readonly metadata?: { readonly vulnerabilities?: Readonly<Record<string, number>> };
  readonly vulnerabilities?: Readonly<Record<string, { readonly severity: string }>>;
  readonly message?: string;
}

/** Reads what `npm audit --json` has printed; a registry that answers no audits leaves it undecided, and says so. */
export function auditVerdict(stdout: string): AuditVerdict {
  const report = parse(stdout);
  const counts = report?.metadata?.vulnerabilities;
  if (report === undefined || counts === undefined) {
    const why = report?.message ?? (stdout.trim() === "" ? "npm printed nothing" : stdout.trim().slice(0, 200));
    return { outcome: "skipped", text: `the package registry answers no audit: ${why}` };
  }
  const found = SEVERITIES.filter((severity) => (counts[severity] ?? 0) > 0);
  if (found.length === 0) return { outcome: "passed", text: "no known vulnerability" };
  const names = Object.entries(report.vulnerabilities ?? {}).map(([name, { severity }]) => `${name} (${severity})`);
  const text = `${found.map((severity) => `${counts[severity]} ${severity}`).join(", ")}: ${names.join(", ")}`;
  return { outcome: found.some((severity) => BARRED.has(severity)) ? "failed" : "passed", text };
}

function parse(text: string): AuditReport | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
