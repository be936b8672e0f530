// Where a table is scrolled to, kept for the one that is painted in its stead.

export class Place {
  scrolled = 0; // pixels
  above = 0; // rows that came above what was in sight there, newest first
  private by: object | null = null; // of the views of one table the one that was scrolled last

  at(scrolled: number, by: object): void { Object.assign(this, { scrolled, by, above: 0 }); }

  /** A view ends, above which so many rows are waiting. */
  left(above: number, by: object): void { if (this.by === by) this.above = above; }
}
