// Which rows are asked for next: those beside the loaded ones by a cursor, so that none comes twice and none is left out, others by their number.

export const PAGE = 100; // rows
const LARGEST = 500; // rows that one page may have
const AT_ONCE = 4; // questions; when one is answered, what is looked at then is asked for

export type Question = { way: "after" | "before"; cursor: string; limit: number } | { way: "at"; at: number; limit: number };

/** What is loaded: from a row up to another, and where it goes on. */
export interface Loaded { start: number; end: number; before: string | null; after: string | null }

/** The question for those rows from `first` up to `last` that are not loaded; null where none is to be asked now. */
export function next({ start, end, before, after }: Loaded, length: number, first: number, last: number, asked: Iterable<Question> = []): Question | null {
  const below = last - end, above = start - first, now = [...asked];
  if ((below <= 0 && above <= 0) || now.length >= AT_ONCE) return null;
  for (const [way, cursor, rows] of [["after", after, below], ["before", before, above]] as const) {
    if (rows <= 0 || rows > LARGEST || cursor === null) continue;
    return now.some((other) => other.way === way) ? null : { way, cursor, limit: Math.ceil(rows / PAGE) * PAGE };
  }
  if (now.some((other) => other.way === "at" && other.at <= first && last <= other.at + other.limit)) return null;
  const beside = Math.max(0, Math.floor((PAGE - (last - first)) / 2)); // as many above as below
  return { way: "at", at: Math.max(0, Math.min(first - beside, length - PAGE)), limit: Math.max(PAGE, last - first) };
}
