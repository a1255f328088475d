/** One thing that a check found wrong. */
export interface Finding {
  /** Relative to the repository. */
  readonly file: string;
  /** From 1; absent when the whole file or folder is meant. */
  readonly line?: number;
  /** What is wrong. */
  readonly problem: string;
  /** The rule it breaks, with its reason. */
  readonly rule?: string;
  /** What to do about it. */
  readonly fix: string;
}

/** A finding as text: one line with the place, then the rule and the fix. */
export function describeFinding({ file, line, problem, rule, fix }: Finding): string {
  const place = line === undefined ? file : `${file}:${line}`;
  return [`${place}: ${problem}`, ...(rule === undefined ? [] : [`  rule: ${rule}`]), `  fix:  ${fix}`].join("\n");
}

/** Prints the findings, then `summary`, and leaves an exit code of 1 if there were any. */
export function report(findings: readonly Finding[], summary: string): void {
  for (const finding of findings) console.log(describeFinding(finding));
  console.log(findings.length === 0 ? summary : `${findings.length} found`);
  if (findings.length > 0) process.exitCode = 1;
}
