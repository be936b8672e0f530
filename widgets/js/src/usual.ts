// Which columns a table shows where nobody chose others: those that the rules of its runs name, else a few of each kind.
import { json, type Transport } from "./transport.js";

export interface Heading { name: string; kind: "column" | "scalar" | "parameter"; unit: string }
/** What the service knows: all that the runs of a proposal have, and what the rules say of their tables. */
export interface Headings { items: Heading[]; tables?: Record<string, string[]> }

/** What the columns of a row are called, the units of its results, and the rule that it comes from. */
export interface Kind { rule: string | null; scan: boolean; file: string[]; scalars: [string, string][]; parameters: string[] }

const MOST_SCALARS = 4, MOST_OF_FILE = 3;
const ALWAYS = ["when", "file", "state"]; // what tells rows apart

export function headings(transport: Transport, proposal: string): Promise<Headings> {
  return json<Headings>(transport, "GET", "v1/headings", new URLSearchParams({ proposal }));
}

/** The keys of a rule's columns; those of the file begin otherwise there. */
export function keysOf(table: string[]): string[] { return table.map((name) => name.replace(/^column:/, "file:")); }

/** The keys, and whether they stand for an order too: that of the rules; rows of rules that say nothing add a few. */
export function usual(kinds: Iterable<Kind>, tables: Map<string, string[]>): { keys: string[]; ordered: boolean } {
  const file = new Set<string>(), scalars = new Set<string>(), rules = new Set<string>();
  let scan = false;
  for (const kind of kinds) {
    if (kind.rule !== null && tables.has(kind.rule)) { rules.add(kind.rule); continue; }
    scan ||= kind.scan;
    for (const name of kind.file) file.add(`file:${name}`);
    for (const [name] of kind.scalars) scalars.add(`scalar:${name}`);
  }
  const few = [...[...file].slice(0, MOST_OF_FILE), ...[...scalars].slice(0, MOST_SCALARS)];
  if (!rules.size) return { keys: [...(scan ? ["scan"] : []), "when", "file", "function", "state", ...few, "curve"], ordered: false };
  const named = [...tables].filter(([rule]) => rules.has(rule)).flatMap(([, table]) => keysOf(table));
  return { keys: [...new Set([...ALWAYS.filter((key) => !named.includes(key)), ...named, ...few])], ordered: true };
}
