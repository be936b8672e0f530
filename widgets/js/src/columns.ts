// Which columns the table has, and what stands in a cell.
import { clock, duration, h, number, sparkline } from "./dom.js";
import type { Run, State } from "./records.js";

export interface Column { key: string; title: string; width: string; sort: string; cell(run: Run): Node | string; numeric?: boolean }

export const STATES: Record<State, [string, string]> = {
  queued: ["◷", "waiting"], running: ["◐", "running"], done: ["✓", "done"], failed: ["!", "failed"], cancelled: ["⊘", "cancelled"],
};
const MOST_SCALARS = 4, MOST_OF_FILE = 3;

/** The columns that the loaded rows call for: fixed ones, from the file, scalars, the curve. */
export function columnsFor(runs: Iterable<Run>): Column[] {
  const ofFile = new Set<string>(), scalars = new Map<string, string>();
  for (const run of runs) {
    for (const name of Object.keys(run.columns)) if (ofFile.size < MOST_OF_FILE) ofFile.add(name);
    for (const [name, scalar] of Object.entries(run.scalars)) if (scalars.has(name) || scalars.size < MOST_SCALARS) scalars.set(name, scalar.unit);
  }
  return [
    { key: "when", title: "when", width: "72px", sort: "queued", cell: (run) => clock(run.queued) },
    { key: "file", title: "file", width: "minmax(132px, 2fr)", sort: "file", cell: (run) => h("span", { class: "bh-tail", title: run.file.path }, h("bdi", {}, run.file.name)) },
    { key: "function", title: "function", width: "minmax(72px, 1fr)", sort: "function", cell: (run) => run.title || run.function },
    { key: "state", title: "state", width: "86px", sort: "state", cell: state },
    ...[...ofFile].map((name) => ({
      key: `file:${name}`, title: name, width: "minmax(76px, 1fr)", sort: "",
      cell: (run: Run) => h("span", { title: String(run.columns[name] ?? "") }, String(run.columns[name] ?? "")),
    })),
    ...[...scalars].map(([name, unit]) => ({
      key: `scalar:${name}`, title: unit ? `${name} / ${unit}` : name, width: "minmax(62px, 0.8fr)", sort: `scalar:${name}`, numeric: true,
      cell: (run: Run) => {
        const scalar = run.scalars[name];
        if (!scalar) return run.state === "failed" ? h("span", { class: "bh-why", title: run.error?.message }, "") : "";
        if (scalar.value === null) return h("span", { title: scalar.reason }, "–");
        return h("span", { title: `${scalar.value} ${scalar.unit}` }, number(scalar.value));
      },
    })),
    { key: "curve", title: "curve", width: "72px", sort: "", cell: (run) => (run.sparkline ? sparkline(run.sparkline) : "") },
  ];
}

/** Icon and word, never colour alone; while it runs, for how long. */
export function state(run: Run): Node {
  const [icon, word] = STATES[run.state];
  let more = "";
  if (run.state === "running" && run.started) more = ` ${duration(Math.max(0, (Date.now() - Date.parse(run.started)) / 1000))}`;
  if (run.quarantined) more = " (held)";
  if (run.state === "queued" && run.attempts) more = " again";
  const why = run.error ? `${run.error.message}` : undefined;
  return h("span", { class: `bh-state bh-${run.state}`, title: why }, h("span", { "aria-hidden": "true" }, icon), ` ${word}${more}`);
}
