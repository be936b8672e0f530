// The rows that are loaded: pages that follow each other without a gap, and the cursors that lead on from both ends.
import type { Loaded } from "./near.js";
import type { Page, Run } from "./records.js";

export const KEPT = 3000; // rows that stay loaded: those nearest to what is looked at

type Part = Pick<Page<Run>, "items" | "before" | "after">;

export class Stretch implements Loaded {
  private pages: Part[];
  end: number;

  /** `start` is the number of the first row. */
  constructor(public start: number, page: Part) {
    this.pages = [page];
    this.end = start + page.items.length;
  }

  get before(): string | null { return this.pages[0]!.before; }
  get after(): string | null { return this.pages.at(-1)!.after; }

  has(index: number): boolean { return index >= this.start && index < this.end; }

  at(index: number): Run | undefined {
    if (!this.has(index)) return undefined;
    let from = this.start;
    for (const { items } of this.pages) {
      if (index < from + items.length) return items[index - from];
      from += items.length;
    }
    return undefined;
  }

  *[Symbol.iterator](): Generator<Run> { for (const { items } of this.pages) yield* items; }

  indexOf(id: number): number {
    let from = this.start;
    for (const { items } of this.pages) {
      const index = items.findIndex((run) => run.id === id);
      if (index >= 0) return from + index;
      from += items.length;
    }
    return -1;
  }

  /** Whether a run that it has not belongs between its rows, the newest first, or below the table's last. */
  spans(id: number): boolean {
    const first = this.at(this.start), last = this.at(this.end - 1);
    return first !== undefined && last !== undefined && id < first.id && (this.after === null || id > last.id);
  }

  /** Puts each newer record in its place; answers with the ids of those that have one. */
  renew(fresh: Map<number, Run>): Set<number> {
    const found = new Set<number>();
    for (const { items } of this.pages) {
      items.forEach((run, index) => {
        const newer = fresh.get(run.id);
        if (newer) found.add(run.id);
        if (newer && newer.seq >= run.seq) items[index] = { ...newer }; // one that moved may stand in two pages: no two rows are one
      });
    }
    return found;
  }

  /** The page that was found by the cursor of the last row, or of the first. */
  join(way: "after" | "before", page: Part): void {
    if (way === "after") { this.pages.push(page); this.end += page.items.length; }
    else { this.pages.unshift(page); this.start -= page.items.length; }
  }

  /** Rows that are newer than the first of the table; says how many rows its page has by now. */
  top(newest: Run[]): number {
    const first = this.pages[0]!;
    first.items = [...newest, ...first.items];
    this.end += newest.length;
    return first.items.length;
  }

  /** All rows have other numbers. */
  slide(by: number): void {
    this.start += by;
    this.end += by;
  }

  /** Lets go of the pages that are farthest from a row, where there are many. */
  keep(index: number, kept = KEPT): void {
    while (this.pages.length > 1 && this.end - this.start > kept) {
      if (index - this.start > this.end - index) this.start += this.pages.shift()!.items.length;
      else this.end -= this.pages.pop()!.items.length;
    }
  }
}
