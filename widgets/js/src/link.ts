// A view of the table as the fragment of a link, and back.
import type { Page, Run } from "./records.js";
import type { Filter } from "./rows.js";
import type { Transport } from "./transport.js";

export interface Linked { filter: Filter; ids: number[] }

export const MOST_IDS = 200; // in a link
const LONGEST = 500; // characters of a search or a name
const NEWEST = "-queued", SORT = /^-?(queued|started|finished|file|function|state|rule|(scalar|column|parameter):.{1,200})$/;
const CONTROL = /[\u0000-\u001f\u007f]/;

/** `beamhub=PROPOSAL&…`, without what is as usual. */
export function write({ filter, ids }: Linked): string {
  const parts = new URLSearchParams({ beamhub: filter.proposal });
  if (filter.search) parts.set("search", filter.search);
  if (filter.sort !== NEWEST) parts.set("sort", filter.sort);
  if (ids.length) parts.set("runs", ids.slice(0, MOST_IDS).join("."));
  return parts.toString();
}

/** What a fragment says, whoever wrote it: a part that cannot be right counts as not said. */
export function read(fragment: string): Linked | null {
  const parts = new URLSearchParams(fragment.replace(/^#/, "")), proposal = parts.get("beamhub") ?? "";
  const search = parts.get("search") ?? "", sort = parts.get("sort") ?? "";
  const text = (value: string) => value.length <= LONGEST && !CONTROL.test(value);
  if (!proposal || !text(proposal)) return null;
  const ids = (parts.get("runs") ?? "").split(".").filter((each) => /^[1-9]\d{0,14}$/.test(each)).map(Number);
  return { filter: { proposal, search: text(search) ? search : "", sort: SORT.test(sort) && text(sort) ? sort : NEWEST }, ids: [...new Set(ids)].slice(0, MOST_IDS) };
}

const TAKEN = Symbol.for("beamhub.link");

/** What the page's link says to the first table that asks; nothing to a table of another proposal. */
export function take(proposal: string): Linked | null {
  const opened = performance.getEntriesByType("navigation")[0]?.name ?? ""; // Lab may have changed the address since
  for (const address of [location.hash, new URL(opened, location.href).hash]) {
    const linked = read(address);
    if (!linked || (globalThis as any)[TAKEN]?.includes(address) || (proposal && proposal !== linked.filter.proposal)) continue;
    ((globalThis as any)[TAKEN] ??= []).push(address);
    return linked;
  }
  return null;
}

/** Those of a link's runs that there are and that this person may see. */
export async function admitted(transport: Transport, { filter, ids }: Linked): Promise<number[]> {
  const asked = new URLSearchParams({ proposal: filter.proposal, ids: ids.join(","), limit: String(MOST_IDS) });
  const answer = ids.length ? await transport.send("GET", "v1/runs", asked) : null;
  if (answer?.status !== 200) return [];
  const found = new Set((JSON.parse(new TextDecoder().decode(answer.body)) as Page<Run>).items.map((run) => run.id));
  return ids.filter((id) => found.has(id));
}
