import { styleText } from "node:util";
import type { Step } from "../probe/probe.ts";
import { labelled, whyTaken } from "../reach.ts";
import { complaintText, type LookUp } from "../registry/look-up.ts";
import { table } from "../table.ts";
import type { Examined } from "./examine.ts";

/** What `bowline doctor` has found out. */
export interface DoctorReport {
  readonly target: string;
  readonly found: LookUp;
  readonly examined: readonly Examined[];
  /** The client's networks. */
  readonly networks: readonly string[];
}

/** All of it, as a line of JSON. */
export function doctorJson({ target, found, examined }: DoctorReport): string {
  const { snapshot, skipped, complaints, ms } = found;
  const { freshness, revision } = snapshot;
  const addresses = examined.map(({ instance, ...rest }) => ({
    instance: instance.id,
    state: instance.state,
    ...rest,
  }));
  const lookUp = { ms: Math.round(ms), freshness, revision, skipped, complaints };
  return `${JSON.stringify({ target, lookUp, addresses })}\n`;
}

/** All of it, for people. */
export function doctorText({ target, found, examined, networks }: DoctorReport): string {
  const { instances, freshness } = found.snapshot;
  const count = `${instances.length} ${instances.length === 1 ? "instance" : "instances"}`;
  const complaint = complaintText(found);
  return [
    `${target}  ${count}, ${freshness}, looked up in ${Math.round(found.ms)} ms\n`,
    complaint === "" ? "" : `${mark(false)} ${complaint}\n`,
    ...examined.map((each) => `\n${textOf(each, networks)}`),
  ].join("");
}

function textOf(each: Examined, networks: readonly string[]): string {
  const { diagnosis, steps } = each;
  const lines = [heading(each), ...reasons(each, networks).map((reason) => `    ${paint("dim", reason)}`)];
  if (steps.length > 0) {
    lines.push(table(steps.map((step) => ["   ", step.name, `${step.ms.toFixed(1)} ms`, stepText(step)])).trimEnd());
  }
  if (diagnosis !== null) {
    lines.push(`    ${paint("bold", diagnosis.problem)}`, ...diagnosis.remedies.map((remedy) => `    - ${remedy}`));
  }
  return `${lines.join("\n")}\n`;
}

function heading({ instance: { id, state }, address, network, diagnosis }: Examined): string {
  if (address === null) return `${mark(false)} ${id}`;
  const notes = [network, state === "ready" ? "" : state].filter((note) => note !== "").join(", ");
  const name = id === address ? "" : `  ${paint("dim", id)}`;
  return `${mark(diagnosis === null)} ${address}${notes === "" ? "" : ` (${notes})`}${name}`;
}

/** How a client comes to this address, where there was a choice or a rule. */
function reasons({ instance, reach, address }: Examined, networks: readonly string[]): readonly string[] {
  if (address === null) return [];
  if (reach === null) return ["not taken by a client that names no networks"];
  const why = whyTaken(reach, instance, networks);
  const others = instance.addresses.filter((each) => each !== reach.told).map(labelled);
  const besides = others.length === 0 ? "" : `; it also has ${others.join(", ")}`;
  return [
    ...(why === "" ? [] : [`taken ${why}${besides}`]),
    ...(reach.rewrite === null ? [] : [`rewritten from ${reach.told.address} by --rewrite ${reach.rewrite}`]),
  ];
}

function stepText({ isOk, detail, code }: Step): string {
  return isOk ? detail : paint("red", code === "" ? detail : `${code}: ${detail}`);
}

function mark(isGood: boolean): string {
  return isGood ? paint("green", "✓") : paint("red", "✗");
}

function paint(style: "bold" | "dim" | "green" | "red", text: string): string {
  return styleText(style, text, { stream: process.stdout });
}
