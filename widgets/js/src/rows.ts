// The rows that the table shows: pages fetched as they are looked at, changed rows fetched again by their ids.
import { far } from "./near.js";
import type { Page, Run } from "./records.js";
import { json, Refused, type Transport } from "./transport.js";

export const PAGE = 100;
const COALESCE_MS = 100; // at most ten paints a second
const QUIET_MS = 30;
const COUNT_MS = 1000; // at least between two questions how many there are; rows that change do not wait for it
const AT_ONCE = 4; // pages that are asked for; when one has come, those that are looked at then
const SLOW_MS = 500; // that an answer may take before it is said that it is waited for
const UNKNOWN = -1; // a new store's changes are counted from 0
const RETRY_MS = 5000; // after a question about changed rows that was not answered

/** How many runs of the proposal are in each state, and what those that wait can expect (null: not known). */
export interface Queue { states: Record<string, number>; held: number; seconds: number | null }

export interface Filter { proposal: string; search: string; sort: string }

/** The query of a filter; what was typed is understood by the service, times in the zone of whoever looks. */
export function query(filter: Filter): URLSearchParams {
  const found = new URLSearchParams({ proposal: filter.proposal, sort: filter.sort });
  if (filter.search.trim()) {
    found.set("search", filter.search);
    found.set("zone", zone());
  }
  return found;
}

/** The time zone of whoever looks. */
export function zone(): string { return Intl.DateTimeFormat().resolvedOptions().timeZone; }

export class Rows {
  filter: Filter; // of what is shown
  misunderstood = false; // what was searched for last cannot be meant; the rows shown are still those of before
  length = 0; // of the table
  total = 0; // that match; those that are new or moved may not be in the table
  exact = true;
  queue: Queue = { states: {}, held: 0, seconds: null };
  moved = 0;
  error = "";
  loaded = false;
  searching = false; // the answer takes its time, and can be given up
  live = false; // whether changes are heard; while not, nothing is asked again until they are
  private pages = new Map<number, Run[]>();
  private asked = new Set<number>();
  private asking = 0;
  private looked = 0; // the page of the row that was painted last
  private generation = 0;
  private changed = new Set<number>();
  private timer = 0;
  private counting = 0;
  private counted = -Infinity;
  private last = 0;
  private loading = 0;
  private ended = false;
  private knownUntil = UNKNOWN;
  private wanted: Filter;
  private question = new AbortController();

  /** `atTop` tells whether new rows may be put in above; `paint` is called after each change. */
  constructor(private readonly transport: Transport, filter: Filter, private readonly atTop: () => boolean, private readonly paint: () => void) {
    this.wanted = filter;
    this.filter = { ...filter };
  }

  row(index: number): Run | undefined {
    const page = (this.looked = Math.floor(index / PAGE));
    if (!this.pages.has(page)) void this.fetch(page);
    return this.loadedRow(index);
  }

  /** The row where it is there; it is not asked for. */
  loadedRow(index: number): Run | undefined { return this.pages.get(Math.floor(index / PAGE))?.[index % PAGE]; }

  byId(id: number): Run | undefined {
    for (const page of this.pages.values()) for (const run of page) if (run.id === id) return run;
    return undefined;
  }

  indexOf(id: number): number {
    for (const [number, page] of this.pages) {
      const index = page.findIndex((run) => run.id === id);
      if (index >= 0) return number * PAGE + index;
    }
    return -1;
  }

  /** All changes up to this number are in what is shown, or will be asked for; null where nothing is shown. */
  get seq(): number | null { return this.loaded && this.knownUntil !== UNKNOWN ? this.knownUntil : null; }

  /** All rows that are loaded, for which columns there are. */
  *known(): Iterable<Run> { for (const page of this.pages.values()) yield* page; }

  /** Of which functions a newer version is not in force, and why: as the run says that changed last. */
  mistakes(): string[] {
    const last = new Map<string, Run>();
    for (const run of this.known()) if (run.seq >= (last.get(run.function)?.seq ?? 0)) last.set(run.function, run);
    return [...last.values()].filter((run) => run.mistake).map((run) => `${run.title}: ${run.mistake}`);
  }

  /** Ask for everything again, for another filter or the same. */
  async reload(filter = this.wanted): Promise<void> {
    this.wanted = filter;
    const generation = ++this.generation, wanted = { ...filter };
    this.asked.clear();
    this.question.abort(); // what was asked for before is not wanted any more
    const { signal } = this.question = new AbortController();
    const slow = window.setTimeout(() => {
      if (generation !== this.generation) return;
      this.searching = true;
      this.paint();
    }, SLOW_MS);
    this.loading++;
    try {
      const [first, total] = await Promise.all([this.page(0, wanted, signal), this.count(wanted, signal)]);
      if (generation !== this.generation) return;
      this.filter = wanted;
      this.pages = new Map([[0, first.items]]);
      this.knownUntil = this.loaded ? Math.max(this.knownUntil, first.seq) : first.seq;
      const length = first.items.length < PAGE ? first.items.length : total.total; // one may have come between the two answers
      Object.assign(this, { ...total, length, moved: 0, error: "", misunderstood: false, loaded: true });
    } catch (error) {
      if (generation !== this.generation) return;
      this.error = (error as Error).message;
      this.misunderstood = error instanceof Refused && error.status === 400;
    } finally {
      this.loading--;
      clearTimeout(slow);
      if (generation === this.generation) this.searching = false;
      this.flushSoon(); // what changed since the question was sent may not be in its answer
    }
    this.paint();
  }

  /** Give up what is searched for; what is shown stays, and is what `filter` says that is to be looked for from now on. */
  stop(filter = { ...this.filter }): void {
    this.generation++;
    this.question.abort();
    this.wanted = filter;
    this.searching = false;
    if (!this.loaded) this.error = "the search was stopped";
    this.paint();
  }

  /** Changes were missed, or the service counts anew: nothing that is shown holds. */
  reset(): Promise<void> {
    this.knownUntil = UNKNOWN;
    return this.reload();
  }

  /** Nothing of what was loaded may be seen any more. */
  clear(): void {
    this.generation++;
    this.question.abort();
    this.searching = false;
    this.pages.clear();
    this.changed.clear();
    Object.assign(this, { length: 0, total: 0, exact: true, moved: 0, queue: { states: {}, held: 0, seconds: null }, error: "" });
  }

  /** The service answers again: what could not be asked is asked now. */
  back(): void {
    if (this.error || !this.loaded) void this.reload();
    else {
      this.flushSoon();
      this.recountSoon();
    }
  }

  /** Nobody looks any more. */
  end(): void {
    this.ended = true;
    clearTimeout(this.timer);
    clearTimeout(this.counting);
  }

  /** A run changed; others may have with the same number, of which the next hints tell. */
  change(id: number, seq: number): void {
    this.heard(seq - 1);
    this.changed.add(id);
    this.flushSoon();
  }

  /** All changes up to this number have been told. */
  heard(seq: number): void { this.knownUntil = Math.max(this.knownUntil, seq); }

  private flushSoon(): void {
    if (this.ended || this.timer || this.loading || !this.changed.size) return;
    const wait = Math.max(QUIET_MS, COALESCE_MS - (performance.now() - this.last));
    this.timer = window.setTimeout(() => void this.flush(), wait);
  }

  private async flush(): Promise<void> {
    if (this.loading) { this.timer = 0; return; }
    this.last = performance.now();
    const ids = [...this.changed].slice(0, 500);
    for (const id of ids) this.changed.delete(id);
    const generation = this.generation;
    try {
      const asked = query(this.filter);
      asked.delete("sort"); // each is put where it stands
      asked.set("ids", ids.join(","));
      asked.set("limit", "500");
      const fresh = (await json<Page<Run>>(this.transport, "GET", "v1/runs", asked)).items;
      if (generation === this.generation) this.take(ids, new Map(fresh.map((run) => [run.id, run])));
      this.timer = 0;
      this.flushSoon();
    } catch {
      for (const id of ids) this.changed.add(id);
      this.timer = this.ended || !this.live ? 0 : window.setTimeout(() => void this.flush(), RETRY_MS);
    }
  }

  /** Paint known rows in place; whether new ones match was decided by the service. */
  private take(ids: number[], fresh: Map<number, Run>): void {
    const unknown = new Set(fresh.keys());
    for (const page of this.pages.values()) {
      page.forEach((run, index) => {
        const newer = fresh.get(run.id);
        if (newer && newer.seq >= run.seq) page[index] = { ...newer }; // a run may stand in two pages for a while: no two rows are one
        unknown.delete(run.id);
      });
    }
    if (unknown.size && !this.length) return void this.reload(); // an empty table has no order to be kept
    const gone = ids.filter((id) => !fresh.has(id) && this.indexOf(id) >= 0).length;
    if (unknown.size && this.filter.sort === "-queued" && this.atTop()) {
      const newest = [...unknown].map((id) => fresh.get(id)!).sort((a, b) => b.id - a.id);
      this.putAbove(newest);
    } else this.moved += unknown.size + gone;
    this.paint();
    this.recountSoon();
  }

  private recountSoon(): void {
    if (this.ended) return;
    const again = () => { if (this.live) this.recountSoon(); };
    const wait = Math.max(0, COUNT_MS - (performance.now() - this.counted));
    this.counting ||= window.setTimeout(() => void this.recount().catch(again), wait);
  }

  private async recount(): Promise<void> {
    this.counting = 0;
    this.counted = performance.now();
    const generation = this.generation, counted = await this.count();
    if (generation !== this.generation) return;
    Object.assign(this, counted);
    this.paint();
  }

  private putAbove(newest: Run[]): void {
    const first = this.pages.get(0) || [];
    const below = first[0]?.id ?? 0;
    const above = newest.filter((run) => run.id > below);
    this.moved += newest.length - above.length;
    this.pages = new Map([[0, [...above, ...first].slice(0, PAGE)]]);
    this.asked.clear();
    this.length += above.length;
    this.total += above.length;
  }

  private async fetch(number: number): Promise<void> {
    if (this.asked.has(number) || this.asking >= AT_ONCE || !this.loaded) return;
    this.asked.add(number);
    this.asking++;
    const generation = this.generation;
    try {
      const page = (await this.page(number)).items;
      if (generation === this.generation) this.put(number, page);
    } catch (error) {
      if (generation === this.generation) {
        this.error = (error as Error).message;
        window.setTimeout(() => this.askAgain(number, generation), RETRY_MS);
      }
    }
    this.asking--;
    this.paint();
  }

  /** A page that was not answered is asked for again, if it is still looked at. */
  private askAgain(number: number, generation: number): void {
    if (this.ended || generation !== this.generation) return;
    this.asked.delete(number);
    this.paint();
  }

  private put(number: number, page: Run[]): void {
    this.pages.set(number, page);
    if (page.length < PAGE) this.length = number * PAGE + page.length; // there are no rows to wait for behind it
    for (const other of far(this.pages.keys(), this.looked)) { this.pages.delete(other); this.asked.delete(other); }
    this.error = "";
  }

  private page(number: number, filter = this.filter, signal?: AbortSignal): Promise<Page<Run>> {
    const asked = query(filter);
    asked.set("limit", String(PAGE));
    if (number) asked.set("at", String(number * PAGE));
    return json<Page<Run>>(this.transport, "GET", "v1/runs", asked, undefined, undefined, signal);
  }

  /** How many match a filter, and what waits. */
  async count(filter = this.filter, signal?: AbortSignal): Promise<{ total: number; exact: boolean; queue: Queue }> {
    const asked = query(filter);
    asked.delete("sort");
    const { count, exact, ...queue } = await json<Queue & { count: number; exact: boolean }>(this.transport, "GET", "v1/runs/count", asked, undefined, undefined, signal);
    return { total: count, exact, queue };
  }
}
