// The table: a window of rows over all that match, moved with keyboard and mouse.
import { Arranged } from "./arranged.js";
import { condition, OF_LATE, state, type Column } from "./columns.js";
import { h, keep } from "./dom.js";
import { finder, termOf, type Finder } from "./finder.js";
import type { Pictures } from "./pictures.js";
import type { Kept, Place } from "./place.js";
import { Begun, between, range, told } from "./range.js";
import type { Run } from "./records.js";
import { edge, lowerEdge, widthBy } from "./resize.js";
import type { Filter, Rows } from "./rows.js";
import { groups, scanOf, together } from "./scan.js";
import { firstWhole, heightOf, pixels, ROW, scrolledTo, sight, SPAN } from "./sight.js";
import { stale } from "./when.js";

const AHEAD = 60; // rows beyond those in sight that are asked for too

export interface Selection { ids: number[]; focus: number }

export class Table {
  readonly element: HTMLElement;
  readonly lower: HTMLElement; // its edge, which stands below it
  private readonly head: HTMLElement;
  private readonly scroll: HTMLElement;
  private readonly space: HTMLElement;
  private readonly body: HTMLElement;
  readonly columns: Arranged;
  private frame = 0;
  private readonly begun = new Begun(); // where a selection of several begins
  /** What is to be said of the selection. */
  readonly said = h("div", { class: "bh-note", role: "status", hidden: true });
  private pressed = 0;
  private readonly finder: Finder;
  rows!: Rows;

  constructor(readonly selection: Selection, private readonly place: Place, private readonly onSelect: () => void, private readonly onSort: (sort: string) => void, onTerm: (term: string) => void, private readonly onOpen: () => void, pictures: Pictures, label: string) {
    this.columns = new Arranged(() => this.paint(), (run) => pictures.cell(run));
    this.head = h("div", { class: "bh-head", role: "row", "aria-rowindex": "1" });
    this.body = h("div", {
      class: "bh-rows", role: "rowgroup", style: `height: ${SPAN}px`,
      // rows may be painted anew between press and release, which then make no click
      onpointerdown: (event: PointerEvent) => { this.pressed = event.button === 0 ? this.idAt(event) : 0; },
      onpointercancel: () => { this.pressed = 0; },
      onpointerup: (event: PointerEvent) => { this.pick(this.pressed, event); this.pressed = 0; },
      onclick: (event: MouseEvent) => { if (event.detail === 0) this.pick(this.idAt(event), event); }, // of a screen reader
    });
    this.space = h("div", { class: "bh-space", role: "presentation" }, this.body);
    this.scroll = h("div", { class: "bh-scroll", role: "presentation", onscroll: () => { this.note(); this.paint(); } }, h("div", { class: "bh-sticky", role: "rowgroup" }, this.head), this.space);
    this.element = h("div", {
      class: "bh-grid", role: "grid", "aria-label": label, "aria-multiselectable": "true",
      onkeydown: (event: KeyboardEvent) => this.key(event),
    }, this.scroll);
    this.lower = lowerEdge(this.scroll, (pixels) => this.columns.heighten(pixels));
    this.finder = finder(this.scroll, (cell) => this.termAt(cell), onTerm);
  }

  /** Out of sight nothing is scrolled: what counts is where it was, or will be again. */
  get atTop(): boolean { return (this.kept?.scrolled ?? (this.scroll.clientHeight ? this.scroll.scrollTop : this.scrolled)) < ROW; }
  private scrolled = 0;

  private note(): void {
    if (!this.scroll.clientHeight) return;
    this.scrolled = this.scroll.scrollTop;
    this.place.at(this.scrolled, this);
  }

  /** Other rows are shown, from the first on. */
  begin(): void {
    this.keep(null);
    this.scroll.scrollTop = this.scrolled = 0;
    this.place.at(0, this);
  }

  /** Goes on where a table before this one was scrolled to, as soon as there are rows and they are in sight. */
  restore(): void {
    const { scrolled, first, above } = this.place;
    if (scrolled >= ROW) this.keep({ scrolled, first, above });
  }

  private keep(kept: Kept | null): void {
    this.kept = kept;
    if (kept) this.appears.observe(this.scroll);
    else this.appears.disconnect();
  }
  private kept: Kept | null = null;
  private readonly appears = new ResizeObserver(() => this.paint());

  private regain(): void {
    const { kept, scroll } = this, { length } = this.rows;
    if (!kept || !length || !scroll.clientHeight) return;
    this.keep(null);
    const above = kept.first ? this.rows.indexOf(kept.first) : -1; // what came until now counts, heard of or not
    scroll.scrollTop = kept.scrolled + pixels(above < 0 ? kept.above : above, length, this.visible);
    this.note();
  }

  /** The rows that are loaded changed. */
  change(): void {
    this.columns.look(this.rows.filter.proposal, this.rows.known());
    this.paint();
  }

  private termAt(cell: HTMLElement): string {
    const column = this.columns.shown.find(({ key }) => key === cell.dataset.column), id = this.idOf(cell);
    const run = id ? this.rows.byId(id) : undefined;
    return column && (run || !id) ? termOf(column, run) : "";
  }

  /** Paint once before the next frame. */
  paint(): void {
    if (this.frame || this.over) return;
    const now = () => { this.frame = 0; if (!this.over) this.paintNow(); };
    this.frame = document.hidden ? window.setTimeout(now, 50) : requestAnimationFrame(now);
  }

  private paintNow(): void {
    this.paintHead();
    this.scroll.style.height = this.columns.layout.height ? `${this.columns.layout.height}px` : "";
    const high = String(this.scroll.offsetHeight);
    if (this.lower.getAttribute("aria-valuenow") !== high) this.lower.setAttribute("aria-valuenow", high);
    const total = this.rows.length;
    this.space.style.height = `${heightOf(total)}px`; // before it is looked how far the table is scrolled: it may be less now
    this.regain();
    this.follow();
    this.find();
    const { first, last, origin, shift } = sight(total, this.scroll.scrollTop, this.visible);
    this.element.setAttribute("aria-rowcount", String(this.rows.open ? -1 : total + 1)); // it is not known
    this.body.style.transform = `translateY(${shift}px)`;
    const focused = this.body.contains(document.activeElement), called = this.finder.called(), of = called ? this.idOf(called.cell) : 0;
    this.scans = groups(this.rows.filter.sort) && this.columns.shown.some((column) => column.key === "scan");
    this.body.classList.toggle("bh-scans", this.scans);
    this.spare = this.blank?.painted === this.painted ? this.waits : [];
    this.waits = [];
    const ahead = this.rows.loadedRow(first) && this.rows.loadedRow(last - 1) ? AHEAD : 0; // who scrolls on meets no empty rows
    if (total) this.rows.look(Math.max(0, first - ahead), Math.min(total, last + ahead));
    const rows: HTMLElement[] = [];
    this.running = [];
    for (let index = first; index < last; index++) rows.push(this.line(index, origin, this.rows.loadedRow(index)));
    this.put(rows);
    const signed = called && of ? this.finder.again(this.body.querySelector<HTMLElement>(`.bh-row[data-id="${of}"]`), called) : false; // its row may be a new one
    this.tick();
    if (!focused) this.goal = null; // the keyboard is somewhere else by now
    if (this.reach()) return;
    if (signed) return;
    if (focused) this.focusRow(called?.focused && of ? of : this.selection.focus);
    else if (!this.body.querySelector('[tabindex="0"]')) (this.body.firstElementChild as HTMLElement | null)?.setAttribute("tabindex", "0");
  }

  /** What is in sight stays there where its rows have other numbers now. */
  private follow(): void {
    const { slid, length } = this.rows;
    this.rows.slid = 0;
    if (!slid) return;
    if (this.goal) this.goal.index += slid;
    this.scroll.scrollTop += pixels(slid, length, this.visible);
  }

  /** What runs says for how long; times get their date when the day is over. Nothing is painted out of sight. */
  private tick(): void {
    clearTimeout(this.timer);
    for (const [run, row] of this.running) row.querySelector('[data-column="state"]')?.firstChild?.replaceWith(state(run));
    const late = this.running.some(([run]) => condition(run, Date.now())[1]);
    if (late !== this.late) {
      this.late = late;
      this.fit(this.columns.shown);
    }
    this.timer = window.setTimeout(() => requestAnimationFrame(() => {
      if (this.over) return;
      if (!this.element.isConnected || this.day === new Date().toDateString()) this.tick(); // it may come back
      else this.paintNow();
    }), stale(this.running.length > 0, Date.now()));
  }
  private running: [Run, HTMLElement][] = [];
  private late = false; // one of them is, which takes more room to say
  private timer = 0;
  private day = "";

  /** Nobody looks any more. */
  end(): void {
    this.over = true;
    if (!this.kept) this.place.left(this.rows.newest, this.rows.hidden, this);
    this.keep(null);
    clearTimeout(this.timer);
  }
  private over = false;

  private paintHead(): void {
    const columns = this.columns.shown, sort = this.rows.filter.sort, day = (this.day = new Date().toDateString());
    this.fit(columns);
    const painted = JSON.stringify([sort, day, ...columns.map(({ key, title }) => [key, title, this.columns.isPinned(key)])]);
    if (painted === this.painted || this.columns.held()) return; // what is dragged must not be exchanged
    this.painted = painted;
    const focused = this.head.contains(document.activeElement) ? document.activeElement!.closest<HTMLElement>("[data-key]")?.dataset.key : undefined;
    this.element.setAttribute("aria-colcount", String(columns.length));
    this.head.replaceChildren(...columns.map((column, index) => this.title(column, index, sort)));
    if (focused !== undefined) this.head.querySelector<HTMLElement>(`[data-key="${CSS.escape(focused)}"] button`)?.focus();
  }
  private painted = "";

  /** How wide the columns are, and from where on pinned ones stay. */
  private fit(columns: Column[]): void {
    const style = this.element.style;
    let least = 0, left = 0;
    const widths = columns.map(({ key, least: usual, grow }, index) => {
      const own = this.late && key === "state" ? OF_LATE : usual;
      const pinned = this.columns.isPinned(key), fixed = this.columns.width(key) ?? (grow && !pinned ? 0 : own);
      least += fixed || own;
      if (pinned) { style.setProperty(`--bh-left-${index}`, `${left}px`); left += fixed; }
      return fixed ? `${fixed}px` : `minmax(${own}px, ${grow}fr)`;
    });
    style.setProperty("--bh-least", `${least}px`);
    style.setProperty("--bh-columns", widths.join(" "));
  }

  private title(column: Column, index: number, sort: string): HTMLElement {
    const by = sort.replace(/^-/, ""), falling = sort.startsWith("-");
    const mine = column.sort !== "" && by === column.sort;
    const direction = mine ? (falling ? "descending" : "ascending") : column.sort ? "none" : undefined;
    const click = () => this.onSort(mine && falling ? column.sort : `-${column.sort}`);
    const end = column.unit ? ` / ${column.unit}` : ""; // only what stands before it is cut
    const named = [h("span", { class: "bh-name" }, column.title.slice(0, column.title.length - end.length)), end && h("span", { class: "bh-unit" }, end)];
    const label = column.sort
      ? h("button", { type: "button", class: "bh-sort", title: `sort by ${column.title}`, onclick: click }, ...named, mine && h("span", { "aria-hidden": "true" }, falling ? " ▾" : " ▴"))
      : h("span", { class: "bh-title", title: column.title }, ...named);
    return h("div", {
      ...this.common(column, index), role: "columnheader", "aria-sort": direction, "data-key": column.key, "aria-keyshortcuts": "Alt+ArrowLeft Alt+ArrowRight",
      tabindex: column.sort ? undefined : "0",
    }, label, edge((pixels) => this.columns.resize(column.key, pixels), (held) => this.columns.hold(held)));
  }

  /** What the cells of a column have in common. */
  private common(column: Column, index: number): Record<string, unknown> {
    const pinned = this.columns.isPinned(column.key), names = [column.numeric && "bh-number", pinned && "bh-pinned"];
    return { "data-column": column.key, class: names.filter(Boolean).join(" "), "aria-colindex": String(index + 1), style: pinned ? `left: var(--bh-left-${index})` : undefined };
  }

  /** Rows that are there already stay where they are, so that they need not be laid out anew. */
  private put(rows: HTMLElement[]): void {
    const stay = new Set<Element>(rows), { body } = this;
    for (const row of [...body.children]) if (!stay.has(row)) row.remove();
    rows.forEach((row, index) => { if (body.children[index] !== row) body.insertBefore(row, body.children[index] ?? null); });
  }

  /** A row; one of the same run that was painted with the same columns before serves again. */
  private line(index: number, origin: number, run: Run | undefined): HTMLElement {
    const row = run ? this.again(run) ?? this.cells(run) : this.waiting(), selected = run !== undefined && this.selection.ids.includes(run.id);
    const begins = this.begins(index, run);
    if (begins) row.querySelector<HTMLElement>('[data-column="scan"]')!.dataset.rows = `(${together(index, this.rows.length, (at) => this.rows.loadedRow(at))})`;
    const said = {
      class: begins ? "bh-row bh-begins" : "bh-row", "aria-rowindex": String(index + 2), "aria-selected": String(selected),
      style: `top: ${(index - origin) * ROW}px`,
      tabindex: run && run.id === this.selection.focus ? "0" : "-1",
    };
    if (run?.state === "running") this.running.push([run, row]);
    for (const [name, value] of Object.entries(said)) if (row.getAttribute(name) !== value) row.setAttribute(name, value);
    return row;
  }

  /** Not where the cells may say something else now: a picture that has come. */
  private again(run: Run): HTMLElement | undefined {
    const found = this.lines.get(run), pictured = this.columns.shown.some(({ key }) => key === "picture");
    return found && found.painted === this.painted && found.row.isConnected && !pictured ? found.row : undefined;
  }
  private readonly lines = new WeakMap<Run, { row: HTMLElement; painted: string }>();

  /** A row that is not loaded yet; all are alike, so one that was painted before serves again. */
  private waiting(): HTMLElement {
    const row = this.spare.shift() ?? this.cells(undefined);
    this.waits.push(row);
    return row;
  }
  private spare: HTMLElement[] = [];
  private waits: HTMLElement[] = [];

  /** A new row: a copy of an empty one, which is much quicker than to make each cell. */
  private cells(run: Run | undefined): HTMLElement {
    const columns = this.columns.shown, { painted } = this;
    if (this.blank?.painted !== painted) {
      const cells = columns.map((column, at) => h("div", { ...this.common(column, at), role: "gridcell" }));
      this.blank = { painted, row: h("div", { role: "row" }, ...cells) };
    }
    const row = this.blank.row.cloneNode(true) as HTMLElement;
    if (!run) return row;
    Object.assign(row.dataset, { id: String(run.id), state: run.state });
    columns.forEach((column, at) => row.children[at]!.append(column.cell(run)));
    this.lines.set(run, { row, painted });
    return row;
  }
  private blank: { row: HTMLElement; painted: string } | null = null;

  /** Whether a row is the first of its scan, where scans are shown. */
  private begins(index: number, run: Run | undefined): boolean {
    if (!run || !this.scans) return false;
    const above = index ? this.rows.loadedRow(index - 1) : undefined;
    return scanOf(run) !== "" && (index === 0 || (above !== undefined && scanOf(above) !== scanOf(run)));
  }
  private scans = false;

  private idAt(event: Event): number {
    return this.idOf(event.target as Element);
  }

  private idOf(element: Element): number {
    return Number(element.closest<HTMLElement>(".bh-row")?.dataset.id ?? 0);
  }

  private pick(id: number, event: MouseEvent): void {
    const index = id ? this.rows.indexOf(id) : -1;
    if (index >= 0) this.choose(id, index, event);
  }

  private choose(id: number, index: number, event: MouseEvent | KeyboardEvent): void {
    const ids = this.selection.ids;
    this.goal = null;
    this.asked = this.sought = null;
    this.say("");
    if (event.shiftKey && this.begun.id) this.extend(id, index);
    else {
      const more = event.ctrlKey || event.metaKey;
      this.selection.ids = !more ? [id] : ids.includes(id) ? ids.filter((other) => other !== id) : [...ids, id];
      this.begun.set(id, index, this.rows);
    }
    this.selection.focus = id;
    this.paintNow();
    this.focusRow();
    this.onSelect();
  }

  /** Selects all rows from the one that the selection began at; those that are not loaded are asked for. */
  private extend(id: number, index: number): void {
    const begun = this.begun.at(this.rows), { first, last, all } = range(begun, index), loaded = this.rows.loadedRows(first, last);
    if (begun < 0) {
      this.begun.set(id, index, this.rows);
      this.selection.ids = [id];
      this.say("it is not known any more where the row is that you began at: begin with this one");
    } else if (loaded) {
      this.selection.ids = loaded.map((run) => run.id);
      this.say(told(all));
    } else void this.ask(id, first, last, index > begun, all);
  }

  private async ask(id: number, first: number, last: number, down: boolean, all: number): Promise<void> {
    const { numbering } = this.rows, asked = this.asked = {};
    this.say(`asking for ${last - first} rows …`);
    const found = await this.rows.read(first, last).then((rows) => between(rows, this.begun.id, id, down, all > last - first), (error: Error) => error.message);
    if (this.asked !== asked) return; // another row was chosen
    if (Array.isArray(found) && numbering === this.rows.numbering) {
      this.selection.ids = found;
      this.paint();
      this.onSelect();
      this.say(told(all));
    } else this.say(`the rows between could not be selected: ${typeof found === "string" ? found : "they have moved meanwhile"}`);
  }
  private asked: object | null = null;

  private say(what: string): void { Object.assign(this.said, { textContent: what, hidden: !what }); }

  private key(event: KeyboardEvent): void {
    keep(event);
    if (this.resize(event)) return;
    if (!this.body.contains(event.target as Node)) return;
    const own = event.target as HTMLElement, sideways = { ArrowRight: 1, ArrowLeft: -1 } as const;
    if (event.key in sideways || (event.key === "Escape" && own.matches(".bh-find"))) {
      const of = own.closest<HTMLElement>(".bh-row")!;
      if (event.key in sideways) this.finder.walk(of, sideways[event.key as keyof typeof sideways]);
      else of.focus();
      event.preventDefault();
      return;
    }
    if ((event.key === " " || event.key === "Enter") && own.matches(".bh-find")) return; // it is a button
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };
    const step = steps[event.key];
    const row = (event.target as Element).closest<HTMLElement>(".bh-row"); // which may have moved since it was painted
    const focused = this.rows.indexOf(Number(row?.dataset.id));
    const at = this.goal?.index ?? (focused >= 0 ? focused : Math.max(0, this.rows.indexOf(this.selection.focus)));
    if (step !== undefined) {
      const to = Math.min(this.rows.length - 1, Math.max(0, at + step));
      this.goal = { index: to, event, filter: this.rows.filter };
      this.show(to);
      this.reach();
    } else if (event.key === " " || event.key === "Enter") {
      const run = this.rows.row(at), open = event.key === "Enter";
      if (run && !(open && this.selection.ids.includes(run.id))) this.choose(run.id, at, event);
      if (open && run) this.onOpen();
    } else return;
    event.preventDefault();
  }

  /** Choose the row that a key led to; one that is not loaded yet when it is. */
  private reach(): boolean {
    const { goal } = this, index = Math.min(goal?.index ?? -1, this.rows.length - 1); // the last may not have been the last
    if (!goal || index < 0 || goal.filter !== this.rows.filter) { this.goal = null; return false; }
    const run = this.rows.row(index);
    if (run) this.choose(run.id, index, goal.event);
    return run !== undefined;
  }
  private goal: { index: number; event: KeyboardEvent; filter: Filter } | null = null;

  private resize(event: KeyboardEvent): boolean {
    const header = (event.target as Element).closest<HTMLElement>("[role=columnheader]"), pixels = header && widthBy(event, header);
    if (!header || pixels === null) return false;
    this.columns.resize(header.dataset.key!, pixels);
    event.preventDefault(); // the browser would leave the page
    event.stopPropagation();
    return true;
  }

  /** Pixels of the rows that are in sight, below the head. */
  private get visible(): number { return (this.scroll.clientHeight || 11 * ROW) - ROW; }

  private show(index: number): void {
    const to = scrolledTo(index, this.rows.length, this.scroll.scrollTop, this.visible);
    if (to !== this.scroll.scrollTop) this.scroll.scrollTop = to;
  }

  /** Scrolls to a row that nobody chose here: where it is not loaded, if it is quickly said where it is. */
  reveal(id: number): void {
    this.keep(null);
    this.asked = this.sought = null;
    this.say("");
    const index = this.rows.indexOf(id);
    if (index >= 0) this.show(index);
    else void this.seek(id);
    this.paint();
  }

  private async seek(id: number): Promise<void> {
    const sought = this.sought = { id, place: -1 }, place = await this.rows.place(id).catch(() => null);
    if (this.sought !== sought || place === null) return;
    sought.place = place;
    this.show(place);
    this.paint();
  }
  private sought: { id: number; place: number } | null = null;

  /** The row that is scrolled to is loaded now: it may stand a little further up or down. */
  private find(): void {
    const { sought, rows } = this;
    if (!sought || !rows.loadedRow(sought.place)) return;
    const index = rows.indexOf(sought.id);
    if (index >= 0) this.show(index);
    this.sought = null;
  }

  /** Leads the keyboard to the row that was chosen last, or to the first in sight. */
  enter(): void {
    const at = this.rows.indexOf(this.selection.focus);
    if (at >= 0) this.show(at);
    this.stay();
  }

  /** Leads the keyboard to what is in sight: to the row that was chosen last, if it is. */
  stay(): void {
    this.paintNow();
    this.focusRow();
  }

  /** Where the row (else the one that was chosen last) is out of sight, another has the focus: none would leave the keyboard to the notebook. */
  private focusRow(id = this.selection.focus): void {
    const find = (what: string) => this.body.querySelector<HTMLElement>(`.bh-row${what}`), inSight = firstWhole(this.rows.length, this.scroll.scrollTop, this.visible) + 2;
    const row = find(`[data-id="${id}"]`) ?? find(`[aria-rowindex="${inSight}"]`) ?? find("");
    row?.setAttribute("tabindex", "0");
    row?.focus({ preventScroll: true });
  }
}
