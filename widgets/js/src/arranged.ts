// The columns of one table: those that there are, as somebody arranged them, kept in this browser.
import { Seen, type Column } from "./columns.js";
import { apiAddress } from "./direct.js";
import { HIGHEST, LOWEST, NARROWEST, WIDEST, arrange, moved, parse, type Layout } from "./layout.js";
import type { Run } from "./records.js";
import type { Headings } from "./usual.js";

export class Arranged {
  all: Column[] = [];
  shown: Column[] = [];
  layout: Layout = parse(null);
  private proposal: string | null = null;
  private seen = new Seen();
  private usual = new Set<string>();

  /** `changed` is called after somebody changed something. */
  constructor(private readonly changed: () => void, private readonly picture: (run: Run) => Node | string) {}

  /** Takes in the rows that are loaded. */
  look(proposal: string, runs: Iterable<Run>): void {
    if (proposal !== this.proposal) {
      this.proposal = proposal;
      this.seen = new Seen();
      this.layout = parse(stored(this.place));
      for (const [key, shown] of Object.entries(this.layout.shown)) if (shown) this.seen.expect(key);
      void this.hear();
    }
    this.seen.look(runs);
    this.learn();
  }

  /** Asks the service which columns there are and what the rules' tables show. */
  async hear(): Promise<void> {
    const { proposal, seen } = this, told = proposal ? await this.ask?.(proposal).catch(() => null) : null;
    if (seen !== this.seen) return;
    this.unheard = !told;
    if (!told) return;
    seen.tell(told);
    this.learn();
    this.changed();
  }
  private unheard = false;

  /** The service answers again. */
  back(): void { if (this.unheard) void this.hear(); }
  ask: ((proposal: string) => Promise<Headings>) | null = null;

  private learn(): void {
    const before = this.all.length;
    this.usual = new Set(this.seen.usual);
    this.arrange();
    if (this.all.length !== before) this.grown?.();
  }
  /** Called when other columns are known than before. */
  grown: (() => void) | null = null;

  /** Pixels; nothing where nobody chose a width. */
  width(key: string): number | undefined { return this.layout.widths[key]; }
  isShown(key: string): boolean { return this.layout.shown[key] ?? this.usual.has(key); }
  isPinned(key: string): boolean { return this.layout.pinned.includes(key); }

  show(key: string, shown: boolean): void {
    this.layout.shown[key] = shown;
    this.keep();
  }

  pin(key: string, pinned: boolean): void {
    this.layout.pinned = [...this.layout.pinned.filter((each) => each !== key), ...(pinned ? [key] : [])];
    this.keep();
  }

  move(key: string, step: 1 | -1): void {
    this.layout.order = moved(this.all.map((column) => column.key), key, step, (each) => this.isShown(each), this.layout.pinned);
    this.keep();
  }

  /** As wide as that many pixels; as usual again with 0. */
  resize(key: string, pixels: number): void {
    if (pixels) this.layout.widths[key] = Math.round(Math.min(WIDEST, Math.max(NARROWEST, pixels)));
    else delete this.layout.widths[key];
    this.keep();
  }

  /** As high as that many pixels; as usual again with 0. */
  heighten(pixels: number): void {
    this.layout.height = pixels ? Math.round(Math.min(HIGHEST, Math.max(LOWEST, pixels))) : undefined;
    this.keep();
  }

  /** While the edge of one is dragged, the columns stay those that they are. */
  hold(held: () => boolean): void {
    this.held = held;
    if (held()) return;
    this.learn();
    this.changed();
  }
  held = () => false;

  reset(): void {
    this.layout = parse(null);
    this.keep();
  }

  private arrange(): void {
    if (this.held()) return;
    this.all = arrange(this.seen.columns(this.picture), this.layout);
    this.shown = this.all.filter((column) => this.isShown(column.key));
    if (!this.shown.length) this.shown = this.all.slice(0, 1);
  }

  private keep(): void {
    this.arrange();
    try { localStorage.setItem(this.place, JSON.stringify(this.layout)); } catch { /* this browser keeps nothing */ }
    this.changed();
    this.chosen?.();
  }
  /** Called after somebody chose. */
  chosen: (() => void) | null = null;

  private get place(): string { return `beamhub.columns ${apiAddress() ?? location.origin} ${this.proposal}`; }
}

function stored(place: string): string | null {
  try { return localStorage.getItem(place); } catch { return null; }
}
