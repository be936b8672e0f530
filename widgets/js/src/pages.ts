// All rows of some questions, page by page, with a bound.
import type { Page, Run } from "./records.js";
import type { Filter } from "./rows.js";

export const MOST = 10_000, PAGE = 500; // rows

/** The questions for runs by their ids, in the order of a filter. */
export function ofIds({ proposal, sort }: Filter, ids: number[]): URLSearchParams[] {
  const parts = [];
  for (let at = 0; at < ids.length; at += PAGE) parts.push(new URLSearchParams({ proposal, sort, ids: ids.slice(at, at + PAGE).join(",") }));
  return parts;
}

/** At most 10,000 rows; `more` says whether there are others. Ends early when the signal is aborted. */
export async function read(
  ask: (asked: URLSearchParams) => Promise<Page<Run>>, questions: URLSearchParams[], signal: AbortSignal, tell: (rows: number) => void,
): Promise<{ rows: Run[]; more: boolean }> {
  const rows: Run[] = [];
  for (const asked of questions) {
    asked.set("limit", String(PAGE));
    for (let next: string | null = ""; next !== null;) {
      if (signal.aborted || rows.length >= MOST) return { rows, more: true };
      if (next) asked.set("after", next);
      const page: Page<Run> = await ask(asked);
      rows.push(...page.items);
      tell(rows.length);
      next = page.after;
    }
  }
  return { rows, more: false };
}
