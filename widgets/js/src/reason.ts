// Why a search finds nothing: each of its terms is asked for alone.
import type { Filter, Rows } from "./rows.js";

const MOST = 6; // terms that are asked for

/** The terms of a search, as the service takes it apart. */
export function terms(search: string): string[] {
  return search.match(/(?:"[^"]*"?|[^\s"])+/g) ?? [];
}

/** "Nothing has all of these: scan_0007 (120 runs), chi2<1.2 (none)." */
export async function whyNothing(rows: Rows, filter: Filter): Promise<string> {
  const found = terms(filter.search).slice(0, MOST);
  const where = `in ${filter.proposal}`;
  if (found.length < 2) return `Nothing ${where} matches ${filter.search.trim()}.`;
  const told = await Promise.all(found.map(async (term) => {
    const { total, exact } = await rows.count({ ...filter, search: term });
    return `${term} (${total ? `${exact ? "" : "more than "}${total.toLocaleString("en")}` : "none"})`;
  }));
  return `Nothing ${where} has all of these; each alone: ${told.join(", ")}.`;
}
