// The table: a window of rows over all that match, moved with keyboard and mouse.
import { Column, columnsFor } from "./columns.js";
import { h, keep } from "./dom.js";
import type { Run } from "./records.js";
import type { Rows } from "./rows.js";

const ROW = 26; // pixels
const TALLEST = 8_000_000; // of an element that all browsers lay out; beyond, scrolling is scaled

export interface Selection { ids: number[]; focus: number }

export class Table {
  readonly element: HTMLElement;
  private readonly head: HTMLElement;
  private readonly scroll: HTMLElement;
  private readonly space: HTMLElement;
  private readonly body: HTMLElement;
  private columns: Column[] = [];
  private frame = 0;
  private anchor = -1;
  private pressed = 0;
  rows!: Rows;

  constructor(readonly selection: Selection, private readonly onSelect: () => void, private readonly onSort: (sort: string) => void, label: string) {
    this.head = h("div", { class: "bh-head", role: "row", "aria-rowindex": "1" });
    this.body = h("div", {
      class: "bh-rows", role: "rowgroup",
      // rows may be painted anew between press and release, which then make no click
      onpointerdown: (event: PointerEvent) => { this.pressed = event.button === 0 ? this.idAt(event) : 0; },
      onpointercancel: () => { this.pressed = 0; },
      onpointerup: (event: PointerEvent) => { this.pick(this.pressed, event); this.pressed = 0; },
      onclick: (event: MouseEvent) => { if (event.detail === 0) this.pick(this.idAt(event), event); }, // of a screen reader
    });
    this.space = h("div", { class: "bh-space", role: "presentation" }, this.body);
    this.scroll = h("div", { class: "bh-scroll", role: "presentation", onscroll: () => this.paint() }, h("div", { class: "bh-sticky", role: "rowgroup" }, this.head), this.space);
    this.element = h("div", {
      class: "bh-grid", role: "grid", "aria-label": label, "aria-multiselectable": "true",
      onkeydown: (event: KeyboardEvent) => this.key(event),
    }, this.scroll);
  }

  get atTop(): boolean { return this.scroll.scrollTop < ROW; }
  get scrollTop(): number { return this.scroll.scrollTop; }
  set scrollTop(value: number) { this.scroll.scrollTop = value; }

  /** Paint once before the next frame. */
  paint(): void {
    if (this.frame) return;
    const now = () => { this.frame = 0; this.paintNow(); };
    this.frame = document.hidden ? window.setTimeout(now, 50) : requestAnimationFrame(now);
  }

  private paintNow(): void {
    this.paintHead();
    const total = this.rows.total, height = Math.min(total * ROW, TALLEST), visible = (this.scroll.clientHeight || 11 * ROW) - ROW;
    this.space.style.height = `${height}px`;
    this.element.setAttribute("aria-rowcount", String(total + 1));
    const scale = total * ROW > TALLEST ? (total * ROW - visible) / (height - visible) : 1;
    const first = Math.max(0, Math.floor((this.scroll.scrollTop * scale) / ROW) - 3);
    const last = Math.min(total, first + Math.ceil(visible / ROW) + 6);
    this.body.style.transform = `translateY(${scale === 1 ? first * ROW : this.scroll.scrollTop - 3 * ROW}px)`;
    const focused = this.body.contains(document.activeElement);
    const rows: HTMLElement[] = [];
    for (let index = first; index < last; index++) rows.push(this.line(index, this.rows.row(index)));
    this.body.replaceChildren(...rows);
    if (focused) this.focusRow();
    else if (!this.body.querySelector('[tabindex="0"]')) (this.body.firstElementChild as HTMLElement | null)?.setAttribute("tabindex", "0");
  }

  private paintHead(): void {
    const columns = columnsFor(this.rows.known());
    const same = columns.length === this.columns.length && columns.every((column, index) => column.title === this.columns[index]!.title);
    const sort = this.rows.filter.sort;
    if (same && this.head.dataset.sort === sort) return;
    this.columns = columns;
    this.head.dataset.sort = sort;
    const least = columns.reduce((sum, column) => sum + Number(column.width.match(/\d+/)![0]), 0);
    this.element.style.setProperty("--bh-least", `${least}px`);
    this.element.style.setProperty("--bh-columns", columns.map((column) => column.width).join(" "));
    this.element.setAttribute("aria-colcount", String(columns.length));
    this.head.replaceChildren(...columns.map((column) => this.title(column, sort)));
  }

  private title(column: Column, sort: string): HTMLElement {
    const by = sort.replace(/^-/, ""), falling = sort.startsWith("-");
    const mine = column.sort !== "" && by === column.sort;
    const direction = mine ? (falling ? "descending" : "ascending") : column.sort ? "none" : undefined;
    const click = () => this.onSort(mine && falling ? column.sort : `-${column.sort}`);
    const label = column.sort
      ? h("button", { type: "button", class: "bh-sort", title: `sort by ${column.title}`, onclick: click }, column.title, mine && h("span", { "aria-hidden": "true" }, falling ? " ▾" : " ▴"))
      : column.title;
    return h("div", { role: "columnheader", class: column.numeric ? "bh-number" : "", "aria-sort": direction }, label);
  }

  private line(index: number, run: Run | undefined): HTMLElement {
    const selected = run !== undefined && this.selection.ids.includes(run.id);
    const row = h("div", {
      class: "bh-row", role: "row", "aria-rowindex": String(index + 2), "aria-selected": String(selected),
      tabindex: run && run.id === this.selection.focus ? "0" : "-1", "data-id": run ? String(run.id) : undefined, "data-state": run?.state,
    });
    for (const column of this.columns) {
      row.append(h("div", { role: "gridcell", class: column.numeric ? "bh-number" : "" }, run ? column.cell(run) : ""));
    }
    return row;
  }

  private idAt(event: Event): number {
    return Number((event.target as Element).closest<HTMLElement>(".bh-row")?.dataset.id ?? 0);
  }

  private pick(id: number, event: MouseEvent): void {
    const index = id ? this.rows.indexOf(id) : -1;
    if (index >= 0) this.choose(id, index, event);
  }

  private choose(id: number, index: number, event: MouseEvent | KeyboardEvent): void {
    const ids = this.selection.ids;
    if (event.shiftKey && this.anchor >= 0) {
      const [low, high] = [Math.min(this.anchor, index), Math.max(this.anchor, index)];
      const between = [];
      for (let at = low; at <= high && between.length < 500; at++) { const run = this.rows.row(at); if (run) between.push(run.id); }
      this.selection.ids = between;
    } else if (event.ctrlKey || event.metaKey) {
      this.selection.ids = ids.includes(id) ? ids.filter((other) => other !== id) : [...ids, id];
      this.anchor = index;
    } else {
      this.selection.ids = [id];
      this.anchor = index;
    }
    this.selection.focus = id;
    this.paintNow();
    this.focusRow();
    this.onSelect();
  }

  private key(event: KeyboardEvent): void {
    keep(event);
    if (!this.body.contains(event.target as Node)) return;
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };
    const step = steps[event.key];
    const at = Math.max(0, this.rows.indexOf(this.selection.focus));
    if (step !== undefined) {
      const to = Math.min(this.rows.total - 1, Math.max(0, at + step));
      const run = this.rows.row(to);
      this.show(to);
      if (run) this.choose(run.id, to, event);
    } else if (event.key === " " || event.key === "Enter") {
      const run = this.rows.row(at);
      if (run) this.choose(run.id, at, event);
    } else return;
    event.preventDefault();
  }

  private show(index: number): void {
    const top = index * ROW, view = this.scroll;
    if (top < view.scrollTop) view.scrollTop = top;
    else if (top + 2 * ROW > view.scrollTop + view.clientHeight) view.scrollTop = top + 2 * ROW - view.clientHeight;
  }

  private focusRow(): void {
    const row = this.body.querySelector<HTMLElement>(`[data-id="${this.selection.focus}"]`);
    row?.setAttribute("tabindex", "0");
    row?.focus({ preventScroll: true });
  }
}
