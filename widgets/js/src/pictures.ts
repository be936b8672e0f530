// Small pictures of results for cells: fetched for rows that are looked at, a bounded number of them kept.
import { h } from "./dom.js";
import type { Run } from "./records.js";
import type { Transport } from "./transport.js";

const KEPT = 200, AT_ONCE = 4, WAITING = 40; // pictures

export class Pictures {
  private readonly kept = new Map<number, string>(); // their addresses, the one looked at last at the end; "": there is none
  private waiting: number[] = [];
  private readonly asked = new Set<number>();
  private ended = false;

  /** `come` is called when a picture arrived. */
  constructor(private readonly transport: Transport, private readonly come: () => void) {}

  /** The picture where it is there; else it is asked for. */
  cell(run: Run): Node | string {
    if (run.state !== "done" || !run.has.includes("preview")) return "";
    const address = this.kept.get(run.id);
    if (address === undefined) { this.want(run.id); return ""; }
    this.kept.delete(run.id);
    this.kept.set(run.id, address);
    return address && h("img", { class: "bh-picture", src: address, alt: `picture of ${run.file.name}` });
  }

  /** Gives the pictures back. */
  end(): void {
    this.ended = true;
    this.waiting = [];
    for (const address of this.kept.values()) URL.revokeObjectURL(address);
    this.kept.clear();
  }

  /** What was looked at last comes first; what was scrolled past is forgotten. */
  private want(id: number): void {
    if (this.ended || this.asked.has(id)) return;
    this.waiting = [...this.waiting.filter((each) => each !== id), id].slice(-WAITING);
    if (this.asked.size < AT_ONCE) void this.fetch();
  }

  private async fetch(): Promise<void> {
    for (let id = this.waiting.pop(); id !== undefined; id = this.waiting.pop()) {
      this.asked.add(id);
      const answer = await this.transport.send("GET", `v1/results/${id}/preview.png`, new URLSearchParams({ width: "64" }));
      this.asked.delete(id);
      if (this.ended) return;
      if (answer.status !== 200 && answer.status !== 404) continue; // asked for again when it is looked at again
      this.kept.set(id, answer.status === 200 ? URL.createObjectURL(new Blob([answer.body as BlobPart], { type: "image/png" })) : "");
      for (const [oldest, address] of this.kept) {
        if (this.kept.size <= KEPT) break;
        URL.revokeObjectURL(address);
        this.kept.delete(oldest);
      }
      this.come();
    }
  }
}
