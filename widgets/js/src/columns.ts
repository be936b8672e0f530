// Which columns the table can have, and what stands in a cell.
import { ahead } from "./ahead.js";
import { duration, h, number, sparkline } from "./dom.js";
import type { Run, State } from "./records.js";
import { scanOf } from "./scan.js";
import { keysOf, usual, type Heading, type Headings, type Kind } from "./usual.js";
import { clock, inFull } from "./when.js";

export interface Column {
  key: string; title: string; unit?: string; kind: string; sort: string; numeric?: boolean;
  least: number; // pixels
  grow: number; // its share of the room that is left; 0: always as wide as `least`
  cell(run: Run): Node | string;
  text?(run: Run): string | number; // for a copy; not there where only a picture says it
  word?: string; // how it is searched for: before the colon; "": by its value alone
  term?(run: Run): string; // what is searched for; else its text
}

export const STATES: Record<State, [string, string]> = {
  queued: ["◷", "waiting"], running: ["◐", "running"], done: ["✓", "done"], failed: ["!", "failed"], cancelled: ["⊘", "cancelled"],
};
export const OF_LATE = 144; // pixels of the column "state" where a run is late
const NAME = 60, CHARACTER = 6; // pixels of a header: for the beginning of a name, and for each character of a unit

/** Names of columns: of rows so far, in the order in which they came, and those that the service knows besides. */
export class Seen {
  readonly file = new Set<string>();
  readonly scalars = new Map<string, string>(); // and their units
  readonly parameters = new Set<string>();
  private now = new Set<Kind>();
  private items: Heading[] = [];
  private tables = new Map<string, string[]>();

  /** Takes in the rows that there are. */
  look(runs: Iterable<Run>): void {
    this.now = new Set();
    for (const run of runs) this.now.add(this.kind(run));
    for (const kind of this.now) {
      for (const name of kind.file) this.file.add(name);
      for (const [name, unit] of kind.scalars) this.scalars.set(name, unit);
      for (const name of kind.parameters) this.parameters.add(name);
    }
  }

  /** Takes in what the service knows. */
  tell(told: Headings): void {
    this.items = told.items;
    this.tables = new Map(Object.entries(told.tables ?? {}));
    for (const table of this.tables.values()) for (const key of keysOf(table)) this.expect(key);
  }

  /** The keys of the columns that these rows call for. */
  get usual(): string[] { return usual(this.now, this.tables).keys; }

  /** Of thousands of rows, which are looked at whenever one changes, most have the same names. */
  private kind(run: Run): Kind {
    let found = this.kinds.get(run);
    if (!found) {
      const { columns, parameters, rule, scalars } = run, units = Object.entries(scalars).map(([name, { unit }]): [string, string] => [name, unit]);
      const kind: Kind = { rule, scan: scanOf(run) !== "", file: Object.keys(columns), scalars: units, parameters: Object.keys(parameters) };
      const text = JSON.stringify(kind);
      found = this.alike.get(text) ?? kind;
      this.alike.set(text, found);
      this.kinds.set(run, found);
    }
    return found;
  }
  private readonly kinds = new WeakMap<Run, Kind>();
  private readonly alike = new Map<string, Kind>();

  /** A column that somebody chose, of which no row was seen yet. */
  expect(key: string): void {
    const [kind, ...rest] = key.split(":"), name = rest.join(":");
    if (!name) return;
    if (kind === "file") this.file.add(name);
    else if (kind === "parameter") this.parameters.add(name);
    else if (kind === "scalar" && !this.scalars.has(name)) this.scalars.set(name, "");
  }

  /** Every column, in the usual order; `picture` makes the content of one. */
  columns(picture: (run: Run) => Node | string): Column[] {
    const told = (kind: string) => this.items.filter((each) => each.kind === kind);
    const units = new Map([...this.scalars, ...told("scalar").map(({ name, unit }) => [name, this.scalars.get(name) || unit] as const)]);
    const all = [
      ...FIXED,
      ...[...new Set([...this.file, ...told("column").map(({ name }) => name)])].map(ofFile),
      ...[...units].map(([name, unit]) => scalar(name, unit)),
      CURVE,
      { key: "picture", title: "picture", kind: "", least: 72, grow: 0, sort: "", cell: picture },
      ...[...new Set([...this.parameters, ...told("parameter").map(({ name }) => name)])].map(parameter),
    ];
    const { keys, ordered } = usual(this.now, this.tables), first = ordered ? keys : [];
    return [...first.flatMap((key) => all.find((column) => column.key === key) ?? []), ...all.filter(({ key }) => !first.includes(key))];
  }
}

const FIXED: Column[] = [
  { key: "scan", title: "scan", kind: "folder", least: 116, grow: 1.2, sort: "", word: "", cell: (run) => tail("bh-folder", scanOf(run)), text: scanOf },
  { key: "when", title: "when", kind: "queued", least: 92, grow: 0, sort: "queued", word: "after", term: (run) => minute(run.queued), cell: (run) => moment(run.queued, times(run)), text: (run) => run.queued },
  { key: "written", title: "written", kind: "the file's time", least: 92, grow: 0, sort: "", cell: (run) => moment(run.file.time), text: (run) => run.file.time },
  { key: "file", title: "file", kind: "", least: 132, grow: 2.2, sort: "file", word: "", cell: (run) => tail("bh-tail", run.file.name, run.file.path), text: (run) => run.file.name },
  { key: "function", title: "function", kind: "", least: 72, grow: 1, sort: "function", word: "function", term: (run) => run.function, cell: (run) => run.title || run.function, text: (run) => run.title || run.function },
  { key: "state", title: "state", kind: "", least: 104, grow: 0, sort: "state", word: "state", cell: state, text: (run) => run.state },
];
const CURVE: Column = { key: "curve", title: "curve", kind: "", least: 72, grow: 0, sort: "", cell: (run) => (run.sparkline ? sparkline(run.sparkline) : "") };

function ofFile(name: string): Column {
  const text = (run: Run) => run.columns[name] ?? "";
  return { key: `file:${name}`, title: name, kind: "from the file", least: 76, grow: 1, sort: `column:${name}`, word: name, text, cell: (run) => titled(String(text(run))) };
}

function scalar(name: string, unit: string): Column {
  return {
    key: `scalar:${name}`, title: unit ? `${name} / ${unit}` : name, unit, kind: "result", least: unit ? NAME + CHARACTER * (unit.length + 2) : 66, grow: 0.8, sort: `scalar:${name}`, numeric: true, word: name,
    term: (run) => String(Number(run.scalars[name]?.value?.toPrecision(4) ?? NaN) || ""),
    text: (run) => run.scalars[name]?.value ?? "",
    cell: (run) => {
      const found = run.scalars[name];
      if (!found) return run.state === "failed" ? h("span", { class: "bh-why", title: run.error?.message }, "") : "";
      if (found.value === null) return h("span", { title: found.reason }, "–");
      return h("span", { title: `${found.value} ${found.unit}` }, number(found.value));
    },
  };
}

function parameter(name: string): Column {
  const text = (run: Run) => {
    const value = run.parameters[name];
    return typeof value === "number" || typeof value === "string" ? value : value === undefined || value === null ? "" : JSON.stringify(value);
  };
  return { key: `parameter:${name}`, title: name, kind: "parameter", least: 76, grow: 1, sort: `parameter:${name}`, word: name, text, cell: (run) => titled(String(text(run))) };
}

/** Text that is cut in front where there is no room: names of files and scans differ at their ends. */
function tail(name: string, text: string, title = text): Node {
  return h("span", { class: name, title }, h("bdi", {}, text));
}

function moment(time: string, title = inFull(time)): Node {
  return h("span", { title }, clock(time));
}

/** When what happened to a run, in full. */
function times(run: Run): string {
  const { queued, started, finished } = run;
  return Object.entries({ queued, started, finished }).flatMap(([what, time]) => (time ? `${what} ${inFull(time)}` : [])).join("\n");
}

function titled(text: string): Node {
  return h("span", { title: text }, text);
}

/** Icon and words, never colour alone. */
export function state(run: Run): Node {
  const [icon] = STATES[run.state], [words, late] = condition(run, Date.now());
  const why = run.error?.message ?? (late ? "far longer than the runs of its function before; About this run says what to do" : undefined);
  return h("span", { class: `bh-state bh-${late ? "late" : run.state}`, title: why }, h("span", { "aria-hidden": "true" }, icon), ` ${words}`);
}

/** A run's state in words, while it runs for how long, and whether that is far longer than usual; by this computer's clock. */
export function condition(run: Run, now: number): [string, boolean] {
  const [, word] = STATES[run.state], began = run.state === "running" && run.started;
  if (run.quarantined) return [`${word} (held)`, false];
  if (run.state === "queued" && run.attempts) return [`${word} again`, false];
  if (!began) return [word, false];
  const seconds = Math.floor((now - ahead() - Date.parse(began)) / 1000), late = run.late_s !== null && seconds > run.late_s;
  return [`${word}${seconds >= 1 ? ` ${duration(seconds)}` : ""}${late ? ", late" : ""}`, late];
}

/** The beginning of the minute, where whoever looks is. */
function minute(time: string): string {
  const at = new Date(Date.parse(time) - new Date(time).getTimezoneOffset() * 60000);
  return at.toISOString().slice(0, 16);
}
