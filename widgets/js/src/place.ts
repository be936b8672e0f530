// Where a table is scrolled to, kept for the one that is painted in its stead.

export type Kept = Pick<Place, "scrolled" | "first" | "above">;

export class Place {
  scrolled = 0; // pixels
  first = 0; // the id of the row that was the first then, newest first; 0: another order
  above = 0; // rows that waited to be put in above it
  private by: object | null = null; // of the views of one table the one that was scrolled last

  at(scrolled: number, by: object): void { Object.assign(this, { scrolled, by, first: 0, above: 0 }); }

  /** A view ends, with this first row, above which so many are waiting. */
  left(first: number, above: number, by: object): void { if (this.by === by) Object.assign(this, { first, above }); }
}
