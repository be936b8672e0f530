// When the table that the notebook saves is made anew: changes came to rest, and nobody is at work in the live one.
const QUIET_MS = 10_000, LEAST_MS = 60_000; // it is painted anew by that, at most so often

export class Saved {
  private timer = 0;
  private last = performance.now();

  /** `used` tells whether somebody is at work in it, `make` has the table made anew. */
  constructor(private readonly used: () => boolean, private readonly make: () => void, private readonly quiet = QUIET_MS, private readonly least = LEAST_MS) {}

  /** Something changed. */
  soon(): void {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.used() ? this.soon() : this.now(), Math.max(this.quiet, this.last + this.least - performance.now()));
  }

  now(): void {
    this.end();
    this.last = performance.now();
    this.make();
  }

  end(): void { clearTimeout(this.timer); }
}
