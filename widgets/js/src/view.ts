// The second chunk: what is shown of the selected rows.
import { curveTab } from "./curve.js";
import { aboutTab } from "./about.js";
import { h, keep } from "./dom.js";
import { imageTab } from "./image.js";
import { h5webLink } from "./open.js";
import { againTab } from "./again.js";
import type { Run } from "./records.js";
import type { Filter } from "./rows.js";
import { first } from "./shown.js";
import { json, type Transport } from "./transport.js";
export { whyNot } from "./why.js";

/** What the table offers the panel. */
export interface Outside {
  transport: Transport;
  run(id: number): Run | undefined;
  seq(): number | null;
  proposal(): string;
  filter(): Filter;
  select(ids: number[]): void;
  leave(): void;
  tab: string;
  onTab(tab: string): void;
}
/** What a tab may use: also all that is selected (the runs it gets are the first of them), and the other tabs. */
export interface Context extends Outside {
  selected(): number[];
  open(tab: string): void;
}
/** A tab: paints itself for the selected runs; `focus` is the one that was clicked last. */
export type Tab = (context: Context, body: HTMLElement, runs: Run[], focus: Run, signal: AbortSignal) => void | Promise<void>;

const MOST = 50; // rows that are looked at
const ABOUT = "About this run", SOON_MS = 2000, FIRST_MS = 5000; // after a change, and of a run that goes on without one
const TABS: Record<string, Tab> = { Curve: curveTab, Image: imageTab, [ABOUT]: aboutTab, Again: againTab };

export class Panel {
  readonly element: HTMLElement;
  private readonly tabs: HTMLElement;
  private readonly body = h("div", { class: "bh-tab", role: "tabpanel", tabindex: "0" });
  private readonly open = h("span", {});
  private shown = new AbortController();
  private ids: number[] = [];
  private focus = 0;
  private seen: number | null = null; // the last change when it was painted last
  private goesOn = ""; // the state of the run that is told about, while it can change by itself
  private timer = 0;
  private due = 0;
  private pause = FIRST_MS;
  private readonly states = new Map<number, string>(); // as they were when they were last painted

  private readonly context: Context;

  constructor(outside: Outside) {
    this.context = { ...outside, selected: () => this.ids, open: (tab) => this.choose(tab) };
    if (!(this.context.tab in TABS)) this.context.tab = "Curve";
    this.tabs = h("div", { class: "bh-tabs", role: "tablist", "aria-label": "selected runs", onkeydown: (event: KeyboardEvent) => this.key(event) });
    const copy = h("button", { type: "button", class: "bh-copy", title: "copy the line that loads this", onclick: () => void this.copy(copy) }, "copy code");
    this.element = h("div", { class: "bh-panel" }, h("div", { class: "bh-tabbar" }, this.tabs, this.open, copy), this.body);
    this.body.addEventListener("keydown", keep);
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      this.context.leave();
    }, { capture: true });
    this.paintTabs();
  }

  /** Leads the keyboard here. */
  enter(): void { this.tabs.querySelector<HTMLElement>('[aria-selected="true"]')?.focus(); }

  /** Shows some runs; what is shown of them already is painted again only if that is wanted. */
  show(ids: number[], focus: number, anew = true): void {
    const same = this.painted && focus === this.focus && ids.join() === this.ids.join();
    this.ids = ids;
    this.focus = focus;
    if (same && !anew) return this.refresh();
    this.pause = FIRST_MS;
    void this.paint();
  }
  private painted = false; // all of it

  /** Goes on in its table, which was painted anew. */
  goOn(outside: Outside): void { Object.assign(this.context, outside, { tab: this.context.tab }); }

  /** Nobody looks at it any more. */
  end(): void { this.shown.abort(); clearTimeout(this.timer); }

  /** The state of what is shown may have changed; a form that somebody fills in stays, and so does what is as it was. */
  refresh(): void {
    const changed = this.ids.map((id) => this.context.run(id)).some((run) => run && run.state !== this.states.get(run.id));
    if (this.context.tab !== "Again" && changed) void this.paint();
    else if (this.goesOn && this.seen !== this.last) this.later(SOON_MS);
  }

  /** What is told of a run that waits depends on others, of one that runs on itself, and on the time. */
  private later(wait: number): void {
    const due = performance.now() + wait;
    if (this.timer && this.due <= due) return;
    clearTimeout(this.timer);
    this.due = due;
    this.timer = window.setTimeout(() => {
      this.timer = 0;
      if (!this.goesOn) return;
      if (document.hidden || !this.element.isConnected) { this.later(wait); return; } // it may come back into sight
      if (this.goesOn === "running") this.pause *= 2;
      void this.paint();
    }, wait);
  }

  /** The last change that what is told may depend on. */
  private get last(): number | null { return this.goesOn === "running" ? this.context.run(this.focus)?.seq ?? null : this.context.seq(); }

  private async paint(): Promise<void> {
    this.shown.abort();
    this.painted = false;
    clearTimeout(this.timer);
    this.timer = 0;
    this.goesOn = "";
    const before = this.context.seq();
    this.ids.forEach((id) => this.states.set(id, this.context.run(id)?.state ?? ""));
    const { signal } = (this.shown = new AbortController());
    try {
      const runs = (await Promise.all(first(this.ids, MOST, this.focus).map((id) => this.find(id)))).filter((run): run is Run => run !== undefined);
      const focus = runs.find((run) => run.id === this.focus) ?? runs[0];
      if (signal.aborted || !focus) return;
      void this.offer(focus, signal);
      const fresh = h("div", {});
      await TABS[this.context.tab]!(this.context, fresh, runs, focus, signal);
      if (signal.aborted) return;
      const focused = this.focused();
      this.body.replaceChildren(fresh);
      this.painted = true;
      if (focused) fresh.querySelector<HTMLElement>(`[name="${CSS.escape(focused)}"]`)?.focus();
      if (this.context.tab === ABOUT && (focus.state === "queued" || focus.state === "running")) this.goesOn = focus.state;
      this.seen = this.last;
      if (this.goesOn === "running") this.later(this.pause); // each time twice as long
      else if (this.goesOn && before !== this.seen) this.later(SOON_MS); // while it was asked for
    } catch (error) {
      if (!signal.aborted) this.body.replaceChildren(h("div", { class: "bh-note bh-error" }, (error as Error).message));
    }
  }

  private async offer(focus: Run, signal: AbortSignal): Promise<void> {
    const link = focus.has.includes("file") ? await h5webLink(this.context, focus.id) : null;
    if (!signal.aborted) this.open.replaceChildren(...(link ? [link] : []));
  }

  /** The name of the control that somebody uses, which is painted anew. */
  private focused(): string | null {
    const { activeElement } = this.body.getRootNode() as Document;
    return activeElement && this.body.contains(activeElement) ? activeElement.getAttribute("name") : null;
  }

  private async find(id: number): Promise<Run | undefined> {
    return this.context.run(id) ?? json<Run>(this.context.transport, "GET", `v1/runs/${id}`).catch(() => undefined);
  }

  private paintTabs(): void {
    this.tabs.replaceChildren(...Object.keys(TABS).map((name) => h("button", {
      type: "button", role: "tab", "aria-selected": String(name === this.context.tab), tabindex: name === this.context.tab ? "0" : "-1",
      onclick: () => this.choose(name),
    }, name)));
  }

  private choose(name: string): void {
    this.context.tab = name;
    this.context.onTab(name);
    this.paintTabs();
    void this.paint();
  }

  private key(event: KeyboardEvent): void {
    keep(event);
    const names = Object.keys(TABS), step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!step) return;
    event.preventDefault();
    this.choose(names[(names.indexOf(this.context.tab) + step + names.length) % names.length]!);
    this.tabs.querySelector<HTMLElement>('[aria-selected="true"]')!.focus();
  }

  private async copy(button: HTMLElement): Promise<void> {
    const found = this.ids.length === 1 ? `[${this.ids[0]}]` : `.entries([${this.ids.join(", ")}])`;
    const code = `from beamhub.widgets import Catalog; Catalog()${found}.to_xarray()`; // whatever the notebook has named
    try { await navigator.clipboard.writeText(code); button.textContent = "copied"; }
    catch { button.textContent = code; }
    setTimeout(() => { button.textContent = "copy code"; }, 2000);
  }
}
