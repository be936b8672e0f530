// ProcessedData: the bar above, the table, and below it the panel of what is selected.
import { chooser } from "./chooser.js";
import { loadChunk } from "./chunk.js";
import { Comm, orphaned, type Model } from "./comm.js";
import { copying } from "./copy.js";
import { direct } from "./direct.js";
import { h, keep } from "./dom.js";
import { Empty } from "./empty.js";
import { Left } from "./left.js";
import { Links } from "./links.js";
import { menu, type Open } from "./menu.js";
import { Newest } from "./newest.js";
import { offerWhy } from "./offer.js";
import { Pictures } from "./pictures.js";
import { Place } from "./place.js";
import { newest } from "./proposal.js";
import { outlook } from "./queue.js";
import type { Proposal, Run } from "./records.js";
import { terms } from "./reason.js";
import { Rows, zone, type Filter } from "./rows.js";
import { Saved } from "./saved.js";
import { Table, type Selection } from "./table.js";
import { json, type Transport } from "./transport.js";
import { headings } from "./usual.js";
import type { Outside, Panel } from "./view.js";
import { clock } from "./when.js";

const AT_WORK_MS = 60_000; // after somebody last touched the table

interface ViewState extends Open { filter: Filter; selection: Selection; place: Place; tab: string; follow: boolean; views: Set<View>; known: string[]; focused: "" | "proposal" | "search" | "rows"; lost: string; left: Left }

/** What a table looked like, kept while the page lives: a cell that is painted anew goes on where it was, and all views of one table show the same. */
const views: Map<string, ViewState> = ((globalThis as any)[Symbol.for("beamhub.views")] ??= new Map());

export async function processed(model: Model, el: HTMLElement, ended: AbortController): Promise<void> {
  const { signal } = ended;
  const root = h("div", { class: "bh-root" }, h("div", { class: "bh-empty" }, "looking for processed data …"));
  el.append(root);
  const transport = (await direct(model.get("server_id"))) ?? (orphaned(model) ? null : new Comm(model, signal));
  if (signal.aborted) return;
  if (!transport) return root.replaceChildren(h("div", { class: "bh-empty" }, "No kernel has this table any more: run this cell on a BeamHub server to see it live."));
  root.dataset.transport = transport.name;
  await new View(model, root, transport, ended).start();
}

class View {
  private readonly state: ViewState;
  private readonly table: Table;
  private readonly rows: Rows;
  private readonly newest: Newest;
  private readonly links: Links;
  private readonly saved = new Saved(() => this.used, () => this.model.send({ refresh: true, zone: zone(), ...this.rows.filter, columns: this.table.columns.shown.map(({ key }) => key) }));
  private readonly search: HTMLInputElement;
  private readonly chooser: HTMLSelectElement;
  private readonly count = h("span", { class: "bh-count", role: "status" });
  private readonly busy = h("span", { class: "bh-busy", role: "status" });
  private readonly halt = h("button", { type: "button", hidden: true, onclick: () => this.stop() }, "Stop");
  private readonly queue = h("span", { class: "bh-queue", title: "of the whole proposal, whatever is searched for" });
  private readonly live = h("span", { class: "bh-live", role: "status" });
  private readonly fresh = h("button", { type: "button", class: "bh-new", hidden: true, onclick: () => void this.rows.reload() });
  private readonly note = h("div", { class: "bh-note", role: "status", hidden: true });
  private readonly outdated = h("div", { class: "bh-note bh-error", role: "status", hidden: true });
  private readonly tools = h("div", { class: "bh-buttons", role: "group", "aria-label": "table" });
  private readonly below = h("div", { class: "bh-below" });
  private readonly empty: Empty;
  private panel: Promise<Panel> | null = null;
  private proposals: Proposal[] = [];
  private stream = new AbortController();

  constructor(private readonly model: Model, private readonly root: HTMLElement, private readonly transport: Transport, private readonly ended: AbortController) {
    const { signal } = ended;
    const id: string = model.get("view_id");
    const fallback: ViewState = { filter: { proposal: model.get("proposal") || "", search: "", sort: "-queued" }, selection: { ids: [], focus: 0 }, place: new Place(), tab: "Curve", menu: "", follow: false, views: new Set(), known: [], focused: "", lost: "", left: new Left() };
    this.state = views.get(id) ?? fallback;
    this.links = new Links(transport, () => ({ filter: this.state.filter, ids: this.state.selection.ids }));
    const linked = views.has(id) ? null : this.links.open(model.get("options").proposal);
    Object.assign(this.state.filter, linked);
    if (linked) this.saved.soon();
    views.set(id, this.state);
    const pictures = new Pictures(transport, () => this.table.paint());
    signal.addEventListener("abort", () => pictures.end());
    this.table = new Table(this.state.selection, this.state.place, () => { this.turn(false); void this.selected(); }, (sort) => this.change({ sort }), (term) => this.seek(term), () => void this.enterPanel(), pictures, "processed data");
    this.table.columns.ask = (proposal) => headings(transport, proposal);
    this.table.columns.chosen = () => this.saved.soon();
    this.rows = new Rows(transport, this.state.filter, () => this.table.atTop, () => this.paint());
    this.table.rows = this.rows;
    this.empty = new Empty(this.rows, () => this.paint());
    this.newest = new Newest(this.state, transport, () => this.state.filter, (run) => this.pick([run]), (on) => this.turn(on));
    this.chooser = h("select", { "aria-label": "proposal", onchange: () => this.change({ proposal: this.chooser.value }) });
    const soon = debounce(() => void this.look(), 200);
    this.search = h("input", {
      type: "search", class: "bh-search", placeholder: "search: scan_0007 state:failed after:10:00 chi2<1.2 …", "aria-label": "search", "aria-keyshortcuts": "/", value: this.state.filter.search,
      oninput: () => { this.typed = true; soon(); },
      onkeydown: (event: KeyboardEvent) => { keep(event); if (event.isComposing) return; if (event.key === "Enter" || event.key === "ArrowDown") { event.preventDefault(); void this.enterRows(); } },
    });
    root.addEventListener("keydown", (event) => this.key(event), { capture: true, signal });
    for (const event of ["keydown", "pointerdown", "pointermove", "wheel"]) {
      root.addEventListener(event, () => { this.touched = performance.now(); }, { capture: true, passive: true, signal });
    }
    root.addEventListener("focusin", (event) => { this.state.focused = event.target === this.search ? "search" : event.target === this.chooser ? "proposal" : "rows"; }, { signal });
    root.addEventListener("focusout", () => setTimeout(() => {
      if (root.isConnected && !root.contains(document.activeElement)) this.state.focused = ""; // else it was taken away with the table
    }), { signal });
    this.state.views.add(this);
    signal.addEventListener("abort", () => this.state.views.delete(this));
  }

  async start(): Promise<void> {
    const look = () => { if (document.hidden) this.leave(); else void this.catchUp(); };
    for (const [target, event] of [[document, "visibilitychange"], [window, "online"], [window, "focus"]] as const) {
      target.addEventListener(event, look, { signal: this.signal });
    }
    this.signal.addEventListener("abort", () => { this.stream.abort(); this.rows.end(); this.table.end(); this.newest.end(); this.saved.end(); void this.panel?.then((panel) => this.state.left.put(panel), () => undefined); });
    window.addEventListener("hashchange", () => void this.open(), { signal: this.signal });
    this.tools.append(
      ...menu("Columns", this.state, (body, signal) => chooser(body, this.table.columns, signal)), ...menu("Copy", this.state, (body, signal) => this.copy(body, signal)),
      this.newest.button, this.links.button,
    );
    this.root.replaceChildren(
      h("div", { class: "bh-bar" }, this.chooser, this.search, this.count, this.busy, this.halt, this.queue, this.live, this.tools), this.note, this.outdated, this.table.element, this.table.lower, this.table.said, this.fresh, this.below,
    );
    this.paint();
    await this.findProposals();
    if (this.signal.aborted) return;
    for (const view of this.state.views) if (view.gone) view.ended.abort();
    this.table.restore();
    await this.rows.reload();
    await this.admit();
    if (this.signal.aborted) return;
    this.follow();
    const left = this.state.left.take();
    left?.goOn(this.outside);
    if (left) this.panel = Promise.resolve(left);
    if (this.state.selection.ids.length) void this.selected(false);
    this.root.dataset.ready = "1";
    this.root.append(h("style", {}, `.bh-${this.model.get("view_id")} { display: none; }`)); // the static table beside it
    this.refocus();
  }

  private get signal(): AbortSignal { return this.ended.signal; }

  /** Lab takes a view that was painted anew away and does not end it; what is only out of sight keeps its place. */
  private get gone(): boolean { return this.root.dataset.ready === "1" && !this.root.isConnected && !this.root.parentNode?.parentNode; }

  private async findProposals(): Promise<void> {
    const filter = this.state.filter, saw = this.state.known.includes(filter.proposal);
    try {
      const answer = await json<{ items: Proposal[]; notice?: string }>(this.transport, "GET", "v1/proposals");
      [this.proposals, this.notice] = [answer.items, answer.notice ?? ""];
      this.state.known = this.proposals.map((one) => one.name);
      this.unanswered = "";
    } catch (error) { this.unanswered = (error as Error).message; }
    const { known } = this.state;
    if (saw && !known.includes(filter.proposal)) for (const view of this.state.views) view.lose(filter.proposal);
    else if (known.includes(this.state.lost)) this.state.lost = "";
    if (!known.includes(filter.proposal)) {
      filter.proposal = newest(this.proposals) ?? filter.proposal;
      this.table.begin();
    }
    if (known.length && this.links.misses(known)) {
      Object.assign(filter, { search: "", sort: "-queued" });
      this.search.value = "";
    }
    if (known.includes(filter.proposal)) this.tell();
    this.chooser.replaceChildren(...known.map((name) => h("option", { value: name, selected: name === filter.proposal }, name)));
    this.chooser.hidden = known.length === 0;
  }

  private notice = ""; // why an edited processing.yaml is not in force
  private unanswered = ""; // why the proposals could not be had when they were last asked for

  /** Its group was taken from this person: nothing of it stays in sight. */
  private lose(proposal: string): void {
    this.state.lost = proposal;
    Object.assign(this.state.selection, { ids: [], focus: 0 });
    void this.panel?.then((panel) => panel.end(), () => undefined);
    this.panel = null;
    this.below.replaceChildren();
    this.rows.clear();
  }

  /** A link was opened in a page that shows a table already. */
  private async open(): Promise<void> {
    const filter = this.links.open("");
    if (filter && !this.links.misses(this.proposals.map((one) => one.name))) {
      this.search.value = filter.search;
      this.chooser.value = filter.proposal;
      await this.change(filter);
      await this.admit();
    }
    this.paint();
  }

  /** The runs of the link are selected. */
  private async admit(): Promise<void> {
    const ids = await this.links.runs();
    if (!ids.length) return;
    this.turn(false);
    this.pick(ids);
  }

  /** Selects runs that nobody clicked. */
  private pick(ids: number[]): void {
    const { selection } = this.state;
    if (ids.join() === selection.ids.join()) return;
    Object.assign(selection, { ids, focus: ids[0] });
    this.table.reveal(ids[0]!);
    void this.selected();
  }

  private copy(body: HTMLElement, signal: AbortSignal): void {
    const { total, exact } = this.rows, filter = { ...this.state.filter };
    copying(body, { transport: this.transport, filter, ids: [...this.state.selection.ids], total, exact, columns: this.table.columns.shown }, signal);
  }

  private follow(): void {
    if (this.signal.aborted) return;
    this.stream.abort();
    this.stream = new AbortController();
    const proposal = this.state.filter.proposal;
    this.transport.listen(proposal ? [proposal] : [], () => this.rows.seq, (event, data) => this.hear(event, data), this.stream.signal);
  }

  private hear(event: string, data: any): void {
    if (event !== "status" || data.live) this.newestSoon();
    if (event !== "status" && this.first && !document.hidden) this.saved.soon(); // out of sight it would be use of the server
    if (event === "change" && data.kind === "run" && data.proposal === this.state.filter.proposal) this.rows.change(data.id, data.seq);
    else if (event === "change" && this.state.filter.proposal) this.rows.heard(data.seq - 1);
    else if (event === "reset") void this.rows.reset();
    else if (event === "proposals" || (event === "change" && !this.state.filter.proposal)) void this.again();
    else if (event === "status") {
      const before = this.rows.live;
      this.rows.live = data.live;
      if (data.live && !before) this.back();
      this.root.dataset.live = data.live ? "1" : "0";
      this.since = data.live ? "" : this.since || data.since || new Date().toISOString();
      this.live.textContent = data.live ? "● live" : `○ not live since ${clock(this.since)}${data.message ? `: ${data.message}` : ""}`;
    }
  }
  private since = ""; // when it was live last, whatever was waited for since

  /** What could not be asked while the service or the notebook server was away. */
  private back(): void {
    this.table.columns.back();
    if (this.unanswered || (!this.proposals.length && !this.rows.loaded)) void this.again();
    else this.rows.back();
  }

  private async again(): Promise<void> {
    await this.findProposals();
    if (this.state.lost === this.state.filter.proposal && this.state.lost) this.paint();
    else await this.rows.reload();
    this.follow();
  }

  /** Nobody looks any more: the table that is saved shows what was last seen. */
  private leave(): void { if (this.first && !this.filled) this.saved.now(); }

  /** Painting it anew would empty a form. */
  private get filled(): boolean { return [...this.state.views].some(({ root }) => root.querySelector("form:not([hidden])")); }
  private get used(): boolean { return this.filled || [...this.state.views].some(({ touched }) => performance.now() - touched < AT_WORK_MS); }
  private touched = -Infinity;

  /** Back to where the keyboard was in this table before it was painted anew, if nobody led it elsewhere. */
  private refocus(): void {
    if (document.activeElement !== document.body) return;
    if (this.state.focused === "search") this.search.focus();
    else if (this.state.focused === "proposal") this.chooser.focus();
    else if (this.state.focused === "rows") this.table.stay();
  }

  /** After sleep or a look elsewhere: one small question whether anything was missed. */
  private async catchUp(): Promise<void> {
    if (!this.state.filter.proposal || this.unanswered) return this.again();
    const before = this.rows.total;
    try {
      const query = new URLSearchParams({ proposal: this.state.filter.proposal, limit: "1" });
      const newest = (await json<{ items: Run[]; seq: number }>(this.transport, "GET", "v1/runs", query));
      if (this.seq !== newest.seq && (before === 0 || this.rows.error || this.root.dataset.live !== "1")) await this.rows.reload();
      this.seq = newest.seq;
    } catch { /* the stream says what is wrong */ }
  }
  private seq = -1;

  /** Search for a term besides; one that only begins is to be gone on with. */
  private seek(term: string): void {
    const now = this.search.value.trim();
    if (!terms(now).includes(term)) this.search.value = now ? `${now} ${term}` : term;
    if (term.endsWith(":")) this.search.focus();
    else this.change({ search: this.search.value });
  }

  /** Shows what is searched for by now; done when it is there, or given up for something else. */
  private look(): Promise<void> {
    if (this.typed) this.looking = this.change({ search: this.search.value });
    this.typed = false;
    return this.looking;
  }
  private looking: Promise<void> = Promise.resolve();
  private typed = false; // and not searched for yet

  private key(event: KeyboardEvent): void {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if ((event.target as Element).closest(".bh-menu, input:not([type=checkbox], [type=radio], [type=range]), select, textarea")) return;
    event.preventDefault();
    event.stopPropagation();
    this.search.focus();
    this.search.select();
  }

  /** From the search field to the rows that it finds, where nobody went elsewhere or typed on meanwhile. */
  private async enterRows(): Promise<void> {
    const looked = this.look();
    await looked;
    const still = looked === this.looking && !this.typed && this.search.matches(":focus");
    if (still && this.rows.total && !this.rows.misunderstood) this.table.enter();
  }

  /** From a row to what is shown of it; Escape leads back. */
  private async enterPanel(): Promise<void> {
    const panel = await this.panel?.catch(() => null);
    if (this.table.element.contains(document.activeElement)) panel?.enter();
  }

  /** Follow newest, or do not. */
  private turn(on: boolean): void {
    for (const view of this.state.views) view.newest.turn(on);
    this.newestSoon();
  }

  /** One view asks for all. */
  private get first(): boolean { return [...this.state.views][0] === this; }
  private newestSoon(): void { if (this.first) this.newest.soon(); }

  private async change(part: Partial<Filter>): Promise<void> { await this.changed(this.share(part), false); }

  /** Shares what is looked for with all other views of this table; says whether it is in another proposal. */
  private share(part: Partial<Filter>): boolean {
    const moved = part.proposal !== undefined && part.proposal !== this.state.filter.proposal;
    Object.assign(this.state.filter, part);
    this.tell();
    this.saved.soon();
    for (const view of this.state.views) if (view !== this) void view.changed(moved, true);
    return moved;
  }

  /** The kernel knows which proposal is shown: what it finds, and what the notebook saves, is of that one. */
  private tell(): void {
    const { proposal } = this.state.filter;
    if (this.model.get("proposal") === proposal) return;
    this.model.set("proposal", proposal);
    this.model.save_changes();
  }

  /** The filter is another, in another view of this table or (where somebody may still type) in this one. */
  private async changed(moved: boolean, elsewhere: boolean): Promise<void> {
    const { filter } = this.state;
    if (elsewhere) Object.assign(this.search, { value: filter.search });
    if (elsewhere) Object.assign(this.chooser, { value: filter.proposal });
    this.table.begin();
    this.links.refused = "";
    const loaded = this.rows.reload(filter);
    this.newestSoon();
    if (moved) this.moved();
    await loaded;
  }

  /** Another proposal is looked at. */
  private moved(): void {
    this.state.lost = "";
    this.follow();
  }

  /** A search that takes too long is given up: the table is what it was before. */
  private stop(): void {
    const { loaded, filter: { proposal, search, sort } } = this.rows;
    const moved = this.share(loaded ? { proposal, search, sort } : { search, sort });
    this.rows.stop(this.state.filter);
    this.search.value = this.state.filter.search;
    this.chooser.value = this.state.filter.proposal;
    if (!moved) return;
    this.moved();
    void this.rows.reload(); // its changes were not told meanwhile
  }

  private paint(): void {
    const { total, exact, queue, moved, error, loaded, searching } = this.rows;
    this.busy.textContent = searching ? "searching …" : "";
    this.halt.hidden = !searching;
    this.table.element.setAttribute("aria-busy", String(searching));
    this.count.textContent = `${exact ? "" : "more than "}${total.toLocaleString("en")} ${total === 1 ? "run" : "runs"}`;
    this.queue.textContent = outlook(queue);
    this.fresh.hidden = moved === 0;
    this.fresh.textContent = `${moved} new or moved: show them`;
    const lost = this.state.lost && `You cannot see the proposal ${this.state.lost} any more, since you are in no group that sees it. If you should be, ask those who run the beamline.`;
    const still = this.rows.misunderstood && total ? " Shown is what was found before." : "";
    const other = this.state.lost === this.state.filter.proposal ? "" : error ? error + still : this.unanswered;
    const problem = [lost, this.links.refused, other].filter(Boolean).join(" ");
    this.note.hidden = !problem && loaded && total > 0;
    this.note.textContent = problem || (loaded ? this.empty.told(this.proposals.length > 0) : "waiting for the processing service …");
    this.note.classList.toggle("bh-error", Boolean(problem));
    offerWhy(this.note, !problem && loaded && total === 0, async () => (await loadChunk(this.transport)).whyNot(this.transport, () => this.state.filter.search));
    const mistakes = this.rows.mistakes();
    const outdated = mistakes.length ? [`The last good version is in force, since the newer one is not right. ${mistakes.join("; ")}`] : [];
    this.outdated.hidden = !outdated.length && !this.notice;
    this.outdated.textContent = [this.notice, ...outdated].filter(Boolean).join(" ");
    this.table.change();
    this.refreshPanel();
  }

  /** A selected run that changed (it is done now) is shown anew. */
  private refreshPanel(): void { void this.panel?.then((panel) => panel.refresh()).catch(() => undefined); }

  private async selected(tell = true): Promise<void> {
    const { ids } = this.state.selection;
    if (tell) {
      if (this.transport.name === "direct") {
        void this.transport.send("PUT", `selection/${this.model.get("view_id")}`, undefined, { proposal: this.state.filter.proposal, ids }).catch(() => undefined);
      } else { this.model.set("selected_ids", ids); this.model.save_changes(); }
      for (const view of this.state.views) if (view !== this) view.same();
    }
    if (!ids.length) { this.below.replaceChildren(); return; }
    if (!this.below.childElementCount) this.below.append(h("div", { class: "bh-empty" }, this.transport.name === "comm" ? "shown when the kernel is free" : "loading …"));
    const loading = this.panel ??= this.loadPanel();
    try {
      const panel = await loading;
      if (loading !== this.panel) return; // what was selected was lost meanwhile
      if (panel.element.parentNode !== this.below) this.below.replaceChildren(panel.element);
      panel.show(ids, this.state.selection.focus, tell);
    } catch (error) {
      if (loading !== this.panel) return;
      this.panel = null;
      this.below.replaceChildren(h("div", { class: "bh-note bh-error" }, (error as Error).message));
    }
  }

  /** Somebody selected in another view of this table. */
  private same(): void {
    if (this.state.follow) this.table.reveal(this.state.selection.focus);
    else this.table.paint();
    void this.selected(false);
  }

  private async loadPanel(): Promise<Panel> { return new (await loadChunk(this.transport)).Panel(this.outside); }

  private get outside(): Outside {
    return { transport: this.transport, run: (id) => this.rows.byId(id), seq: () => this.rows.seq, proposal: () => this.state.filter.proposal, filter: () => this.state.filter, select: (ids) => this.pick(ids), leave: () => this.table.enter(), tab: this.state.tab, onTab: (tab) => { this.state.tab = tab; } };
  }
}

function debounce(call: () => void, ms: number): () => void {
  let timer = 0;
  return () => { clearTimeout(timer); timer = window.setTimeout(call, ms); };
}
