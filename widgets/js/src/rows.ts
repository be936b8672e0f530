// The rows that the table shows: pages fetched as they are looked at, changed rows fetched again by their ids.
import { next, PAGE, type Question } from "./near.js";
import type { Page, Run } from "./records.js";
import { Stretch } from "./stretch.js";
import { json, Refused, type Transport } from "./transport.js";

const COALESCE_MS = 100; // at most ten paints a second
const QUIET_MS = 30;
const COUNT_MS = 1000; // at least between two questions how many there are; rows that change do not wait for it
const SLOW_MS = 500; // that an answer may take before it is said that it is waited for
const UNKNOWN = -1; // a new store's changes are counted from 0
const RETRY_MS = 5000; // after a question that was not answered
const MORE = 500; // rows that the table is longer by, where its end is not known and its last row is followed by others
const GROWN = 500; // rows that were put in above: then the first page is asked for again, and the others are let go of
const NOTHING = { items: [], before: null, after: null };

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

/** The time zone of whoever looks; UTC where the browser has none with a name. */
export function zone(named = Intl.DateTimeFormat().resolvedOptions().timeZone): string {
  return /^[A-Z]/i.test(named ?? "") && named !== "Etc/Unknown" ? named : "UTC";
}

export class Rows {
  filter: Filter; // of what is shown
  misunderstood = false; // what was searched for last cannot be meant; the rows shown are still those of before
  length = 0; // of the table
  total = 0; // that match; those that are new or moved may not be in the table
  exact = true; // else there are more than the total
  slid = 0; // by how many rows what is looked at has another number since the table was last told
  numbering = { by: 0 }; // by how much a row's number grew; another one where nothing is known of that
  queue: Queue = { states: {}, held: 0, seconds: null };
  error = "";
  loaded = false;
  searching = false; // the answer takes its time, and can be given up
  live = false; // whether changes are heard; while not, nothing is asked again until they are
  private stretch = new Stretch(0, NOTHING); // that is looked at
  private begin = this.stretch; // the one before a jump: the table is as its rows are, and who goes back finds them
  private asked = new Set<Question>();
  private refused = 0; // a timer: until then no page is asked for
  private looked = 0; // a row of those that are looked at
  private first = 0; // the id of the table's first row
  private whole = false; // the end of the table was seen
  private waiting = new Set<number>(); // runs that are new, moved, or gone, in the table's order
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

  /** `atTop` tells whether new rows may be put in above; `changedNow` is called after each change. */
  constructor(private readonly transport: Transport, filter: Filter, private readonly atTop: () => boolean, private readonly changedNow: () => void) {
    this.wanted = filter;
    this.filter = { ...filter };
  }

  private paint(): void {
    this.byIds = null;
    this.changedNow();
  }

  /** How many are new, or stand elsewhere, than the table shows. */
  get moved(): number { return this.waiting.size; }

  /** Whether it is not known how many rows there are. */
  get open(): boolean { return !this.exact && !this.whole; }

  /** Asks for those of some rows that are not loaded. */
  look(first: number, last: number): void {
    this.looked = Math.floor((first + last) / 2);
    if (!this.stretch.has(this.looked) && this.begin.has(this.looked)) this.stretch = this.begin;
    const asked = this.loaded && !this.refused && !this.ended ? next(this.stretch, this.length, first, last, this.asked) : null;
    if (asked) void this.fetch(asked);
  }

  row(index: number): Run | undefined {
    this.look(index, index + 1);
    return this.loadedRow(index);
  }

  /** The row where it is there; it is not asked for. */
  loadedRow(index: number): Run | undefined { return this.stretch.at(index); }

  /** Rows from a number up to another; null where not all of them are loaded. */
  loadedRows(first: number, last: number): Run[] | null {
    const rows = [];
    for (let index = first, run; index < last && (run = this.loadedRow(index)); index++) rows.push(run);
    return rows.length === last - first ? rows : null;
  }

  /** The same, asked for; one answer has at most 500. */
  async read(first: number, last: number): Promise<Run[]> {
    return (await this.page({ at: first + this.hidden, limit: last - first })).items;
  }

  /** About where a row is that is not loaded: as many came since. Null where that is not quickly said, or the table has no such row. */
  async place(id: number): Promise<number | null> {
    const { filter, numbering } = this, asked = query(filter);
    if (filter.sort !== "-queued" || id > this.first) return null;
    asked.set("ids", String(id));
    const [run] = (await json<Page<Run>>(this.transport, "GET", "v1/runs", asked)).items;
    if (!run) return null;
    const { total, exact } = await this.count(filter, undefined, run.queued), place = total - 1 - this.hidden;
    return exact && numbering === this.numbering && place >= 0 && place < this.length ? place : null;
  }

  byId(id: number): Run | undefined { return (this.byIds ??= new Map([...this.known()].map((run) => [run.id, run]))).get(id); }
  private byIds: Map<number, Run> | null = null; // made anew after a change: a selection asks for hundreds

  indexOf(id: number): number {
    const index = this.stretch.indexOf(id);
    return index < 0 ? this.begin.indexOf(id) : index;
  }

  /** All changes up to this number are in what is shown, or will be asked for; null where nothing is shown. */
  get seq(): number | null { return this.loaded && this.knownUntil !== UNKNOWN ? this.knownUntil : null; }

  /** All rows that are loaded, for which columns there are. */
  *known(): Iterable<Run> { for (const stretch of new Set([this.stretch, this.begin])) yield* stretch; }

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
    this.forget();
    this.question.abort(); // what was asked for before is not wanted any more
    const { signal } = this.question = new AbortController();
    const slow = window.setTimeout(() => {
      if (generation !== this.generation) return;
      this.searching = true;
      this.paint();
    }, SLOW_MS);
    this.loading++;
    try {
      const [first, total] = await Promise.all([this.page({}, wanted, signal), this.count(wanted, signal)]);
      if (generation !== this.generation) return;
      this.filter = wanted;
      this.forget();
      this.stretch = this.begin = new Stretch(0, first);
      this.first = first.items[0]?.id ?? 0;
      this.waiting.clear();
      this.knownUntil = this.loaded ? Math.max(this.knownUntil, first.seq) : first.seq;
      Object.assign(this, { ...total, length: total.total, slid: 0, numbering: { by: 0 }, whole: false, error: "", misunderstood: false, loaded: true });
      this.reached(); // one may have come between the two answers
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
    this.forget();
    this.stretch = this.begin = new Stretch(0, NOTHING);
    this.waiting.clear();
    this.changed.clear();
    Object.assign(this, { length: 0, total: 0, exact: true, queue: { states: {}, held: 0, seconds: null }, error: "" });
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
    clearTimeout(this.refused);
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
      else for (const id of ids) this.changed.add(id); // the question that came between may get no answer
      this.timer = 0;
      this.flushSoon();
    } catch {
      for (const id of ids) this.changed.add(id);
      this.timer = this.ended || !this.live ? 0 : window.setTimeout(() => void this.flush(), RETRY_MS);
    }
  }

  /** Paint known rows in place; whether new ones match was decided by the service. */
  private take(ids: number[], fresh: Map<number, Run>): void {
    const found = new Set([...this.stretch.renew(fresh), ...this.begin.renew(fresh)]), unknown = [...fresh.values()].filter((run) => !found.has(run.id));
    for (const id of found) this.waiting.delete(id);
    if (unknown.length && !this.length) return void this.reload(); // an empty table has no order to be kept
    for (const id of ids) if (!fresh.has(id) && this.indexOf(id) >= 0) this.waiting.add(id); // gone
    const { sort } = this.filter, newest = sort === "-queued" ? unknown.filter((run) => run.id > this.first) : [];
    // an older one outside of the loaded rows may stand in the table already
    const isNew = ({ id }: Run) => sort !== "-queued" || this.stretch.spans(id) || this.begin.spans(id);
    for (const run of unknown) if (!newest.includes(run) && isNew(run)) this.waiting.add(run.id);
    if (newest.length && this.atTop()) this.putAbove(newest.sort((a, b) => b.id - a.id));
    else for (const run of newest) this.waiting.add(run.id);
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
    this.counts();
    this.paint();
  }

  private putAbove(newest: Run[]): void {
    if (this.stretch.start || this.hidden) { // others stand between
      for (const run of newest) this.waiting.add(run.id);
      return void this.reload();
    }
    const grown = this.stretch.top(newest), { length } = newest;
    this.first = newest[0]!.id;
    this.length += length;
    this.total += length;
    this.numbering.by += length;
    for (const asked of this.asked) if (asked.way === "at") this.asked.delete(asked); // it has another number now
    if (grown > GROWN) void this.reload();
  }

  /** How many runs stand above the first row that are not in the table; they count in the numbers that the service knows. */
  get hidden(): number {
    return this.filter.sort === "-queued" ? [...this.waiting].filter((id) => id > this.first).length : 0;
  }

  /** The id of the first row, where the newest are above; else 0. */
  get newest(): number { return this.filter.sort === "-queued" ? this.first : 0; }

  private async fetch(asked: Question): Promise<void> {
    this.asked.add(asked);
    try {
      const page = await this.page(asked.way === "at" ? { at: asked.at + this.hidden, limit: asked.limit } : { [asked.way]: asked.cursor, limit: asked.limit });
      if (this.asked.delete(asked)) this.put(asked, page);
    } catch (error) {
      if (this.asked.delete(asked)) {
        if (error instanceof Refused && error.status === 400 && this.renewed !== this.generation) return this.renew();
        this.error = (error as Error).message;
        if (!this.ended) this.refused ||= window.setTimeout(() => { this.refused = 0; if (this.live) this.paint(); }, RETRY_MS);
      }
    }
    this.paint();
  }

  /** A cursor holds no more, since "today" is another day: all is asked for again, once. */
  private renew(): void {
    void this.reload();
    this.renewed = this.generation;
  }
  private renewed = -1; // the generation that began so

  /** What was asked for is not waited for any more. */
  private forget(): void {
    this.asked.clear();
    clearTimeout(this.refused);
    this.refused = 0;
  }

  private put(asked: Question, page: Page<Run>): void {
    this.error = "";
    if (asked.way === "at") this.jumped(asked.at, page);
    else if (asked.cursor !== this.stretch[asked.way]) return; // another page is at this end by now
    else if (asked.way === "after") this.stretch.join("after", page);
    else this.above(page);
    for (const run of page.items) this.waiting.delete(run.id);
    this.stretch.keep(this.looked);
    if (!this.stretch.start) this.begin = this.stretch;
    this.reached();
  }

  /** A page by its number; what is looked at stays, and behind an empty one there is nothing. */
  private jumped(at: number, page: Page<Run>): void {
    if (!page.items.length) this.length = Math.min(this.length, at);
    else if (!this.stretch.has(this.looked)) this.stretch = new Stretch(at, page);
  }

  /** The page above those that are loaded. What came above the first row waits; and the first row has the first number. */
  private above(page: Page<Run>): void {
    const at = this.filter.sort === "-queued" ? page.items.findIndex((run) => run.id === this.first) : -1; // in other orders it may have moved
    const newer = Math.max(0, at), first = at >= 0 || page.before === null;
    this.stretch.join("before", { ...page, items: page.items.slice(newer), before: first ? null : page.before });
    page.items.slice(0, newer).forEach((run) => this.waiting.add(run.id));
    page.items.splice(0, newer);
    const { start } = this.stretch;
    if (first ? start : start <= 0) this.slide((first ? 0 : PAGE) - start);
  }

  private slide(by: number): void {
    this.stretch.slide(by);
    if (this.begin.start) this.begin = this.stretch; // which numbers it has now is not known
    this.length += by;
    this.slid += by;
    this.numbering.by += by;
  }

  /** Where the last row that is loaded is the table's, or more follow than were counted. */
  private reached(): void {
    const { end, after } = this.stretch;
    if (after === null) Object.assign(this, { length: end, whole: true });
    else if (end >= this.length && after !== null) Object.assign(this, { length: end + (this.exact ? PAGE : MORE), whole: false });
    this.counts();
  }

  /** More than are counted are as many as the table has, where its end was seen. */
  private counts(): void {
    if (!this.exact && this.whole && !this.moved) Object.assign(this, { total: this.length, exact: true });
  }

  private page(part: { at?: number; after?: string; before?: string; limit?: number }, filter = this.filter, signal?: AbortSignal): Promise<Page<Run>> {
    const asked = query(filter);
    for (const [name, value] of Object.entries({ limit: PAGE, ...part })) asked.set(name, String(value));
    return json<Page<Run>>(this.transport, "GET", "v1/runs", asked, undefined, undefined, signal);
  }

  /** How many match a filter (that came since a time), and what waits. */
  async count(filter = this.filter, signal?: AbortSignal, since = ""): Promise<{ total: number; exact: boolean; queue: Queue }> {
    const asked = query(filter);
    asked.delete("sort");
    if (since) asked.set("since", since);
    const { count, exact, ...queue } = await json<Queue & { count: number; exact: boolean }>(this.transport, "GET", "v1/runs/count", asked, undefined, undefined, signal);
    return { total: count, exact, queue };
  }
}
