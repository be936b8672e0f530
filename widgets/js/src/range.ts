// Range: all rows between the one that a selection began at and another, as many as may be selected.
import type { Run } from "./records.js";

export const MOST = 500; // rows of a selection that is a range, and of one answer

/** Rows as they are numbered now; `numbering` is another where nothing is known of their numbers before. */
export interface Numbered { indexOf(id: number): number; numbering: { by: number } }

/** The row that a selection began at: where it is, also when it is not loaded any more. */
export class Begun {
  private index = -1;
  private by = 0;
  private numbering: { by: number } | null = null;
  id = 0;

  set(id: number, index: number, { numbering }: Numbered): void { Object.assign(this, { id, index, numbering, by: numbering.by }); }

  /** Its number; -1 where that is not known. */
  at(rows: Numbered): number {
    const loaded = this.id ? rows.indexOf(this.id) : -1;
    if (loaded >= 0 || !this.numbering || this.numbering !== rows.numbering) return loaded;
    return this.index + this.numbering.by - this.by;
  }
}

/** The rows from one number up to another: those nearest to where it begins; `all` is how many lie between. */
export function range(begun: number, index: number, most = MOST): { first: number; last: number; all: number } {
  const all = Math.abs(index - begun) + 1, rows = Math.min(all, most), first = index < begun ? begun - rows + 1 : begun;
  return { first, last: first + rows, all };
}

/** Of rows that were asked for by number, those between two; null where one has moved elsewhere. `part`: the other is too far away to be among them. */
export function between(rows: Run[], begun: number, id: number, down: boolean, part = false): number[] | null {
  const ids = rows.map((run) => run.id), from = ids.indexOf(begun), to = ids.indexOf(id);
  if (from < 0 || (to < 0 && !part)) return null;
  return down ? ids.slice(from, to < 0 ? undefined : to + 1) : ids.slice(Math.max(to, 0), from + 1);
}

/** What is said of a selection; nothing where it is all that was wanted. */
export function told(all: number, most = MOST): string {
  return all > most ? `${most} of ${all.toLocaleString("en")} rows are selected, from where you began: more cannot be at once` : "";
}
