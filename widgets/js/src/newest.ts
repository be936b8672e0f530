// Follow newest: the run that was done last is selected as it arrives.
import { h } from "./dom.js";
import type { Page, Run } from "./records.js";
import { query, type Filter } from "./rows.js";
import { json, type Transport } from "./transport.js";

const EACH_MS = 500; // at most two questions a second

export class Newest {
  readonly button: HTMLElement;
  private timer = 0;
  private last = -Infinity;
  private asking = false;
  private wanted = false;

  /** `kept.follow` says whether it is on, `want` is told what somebody wants; `select` is told the newest run, also when it is still the same. */
  constructor(private readonly kept: { follow: boolean }, private readonly transport: Transport, private readonly filter: () => Filter, private readonly select: (id: number) => void, want: (on: boolean) => void) {
    this.button = h("button", { type: "button", title: "select each run as soon as it is done", onclick: () => want(!kept.follow) }, "Follow newest");
    this.turn(kept.follow);
  }

  turn(on: boolean): void {
    this.kept.follow = on;
    this.button.setAttribute("aria-pressed", String(on));
  }

  /** Something changed. */
  soon(): void {
    if (this.asking) this.wanted = true;
    else if (this.kept.follow && !this.timer) this.timer = window.setTimeout(() => void this.ask(), Math.max(0, EACH_MS - (performance.now() - this.last)));
  }

  end(): void { clearTimeout(this.timer); }

  private async ask(): Promise<void> {
    Object.assign(this, { timer: 0, last: performance.now(), asking: true, wanted: false });
    const filter = { ...this.filter(), sort: "-finished" }, asked = query(filter);
    if (!/\bstate:/i.test(filter.search)) asked.set("state", "done");
    asked.set("limit", "1");
    try {
      const newest = filter.proposal ? (await json<Page<Run>>(this.transport, "GET", "v1/runs", asked)).items[0] : undefined;
      const now = this.filter();
      if (newest && this.kept.follow && now.proposal === filter.proposal && now.search === filter.search) this.select(newest.id);
    } catch { /* the stream says what is wrong, and when it is over */ }
    this.asking = false;
    if (this.wanted) this.soon();
  }
}
