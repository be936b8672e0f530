// What was asked for again at once: how far it is, what is other than before, and a way to end it.
import { showVersions } from "./curve.js";
import { h } from "./dom.js";
import type { Run } from "./records.js";
import { json } from "./transport.js";
import type { Context } from "./view.js";

const EVERY_MS = 1000, AWAY_MS = 5000, COMPARED = 6; // pairs of curves

export interface Progress { count: number; states: Record<string, number> }
export interface Changed { name: string; before: string; after: string }

export class Batch {
  readonly element: HTMLElement;
  private readonly line = h("p", { role: "status" });
  private readonly bar = h("progress", { "aria-label": "how many of the new runs have ended" });
  private readonly stop = h("button", { type: "button", hidden: true, onclick: () => void this.cancel() }, "Cancel what still waits");

  private readonly compare: HTMLElement;

  /** `pairs` are old runs with their new versions, as far as the page knows them. */
  constructor(private readonly context: Context, private readonly key: string, changed: Changed[], private readonly pairs: [Run, Run][]) {
    const ids = pairs.slice(0, COMPARED).flatMap(([before, after]) => [before.id, after.id]);
    this.compare = h("button", { type: "button", hidden: !ids.length, onclick: () => { showVersions(); context.open("Curve"); context.select(ids); } }, "Show what is different");
    this.element = h("section", { class: "bh-batch", tabindex: "-1", "aria-label": "run again" }, this.line, this.bar,
      h("dl", { class: "bh-facts" }, ...changed.flatMap(({ name, before, after }) => [h("dt", {}, name), h("dd", {}, `${before} → ${after}`)])),
      h("div", { class: "bh-tools" }, this.stop, this.compare));
  }

  /** Ask how far it is until all have ended, or the signal ends it. */
  async follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let wait = EVERY_MS;
      try {
        if (this.paint(await json<Progress>(this.context.transport, "GET", this.path))) return;
      } catch (error) { this.line.textContent = `${(error as Error).message}; asking again`; wait = AWAY_MS; }
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  private get path(): string { return `v1/requests/${this.key}`; }

  /** Whether all have ended. */
  private paint({ count, states }: Progress): boolean {
    const of = (state: string) => states[state] ?? 0, ended = of("done") + of("failed") + of("cancelled");
    const parts = ["failed", "cancelled"].filter((state) => of(state)).map((state) => `, ${of(state).toLocaleString("en")} ${state}`);
    const text = `${ended.toLocaleString("en")} of ${count.toLocaleString("en")} ended${parts.join("")}; the new versions stand in the table`;
    if (this.line.textContent !== text) this.line.textContent = text;
    this.bar.max = Math.max(count, 1);
    this.bar.value = ended;
    this.stop.hidden = !of("queued");
    const pairs = Math.min(this.pairs.length, COMPARED);
    this.compare.textContent = `Show what is different${pairs < count ? ` (${pairs} of ${count.toLocaleString("en")} runs)` : ""}`;
    return ended >= count;
  }

  private async cancel(): Promise<void> {
    this.stop.disabled = true;
    try { this.paint(await json<Progress>(this.context.transport, "POST", `${this.path}/cancel`)); }
    catch (error) { this.line.textContent = (error as Error).message; }
    this.stop.disabled = false;
  }
}
