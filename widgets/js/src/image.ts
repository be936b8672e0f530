// The picture of a result, made once where it was processed.
import { h } from "./dom.js";
import type { Run } from "./records.js";
import { sentence } from "./transport.js";
import type { Context } from "./view.js";

export async function imageTab(context: Context, body: HTMLElement, runs: Run[], focus: Run, signal: AbortSignal): Promise<void> {
  const pictured = runs.filter((run) => run.has.includes("preview")).slice(0, 6);
  if (!pictured.length) {
    body.append(h("div", { class: "bh-empty" }, `${focus.file.name} has no picture`));
    return;
  }
  const row = h("div", { class: "bh-images" });
  for (const run of pictured) {
    const answer = await context.transport.send("GET", `v1/results/${run.id}/preview.png`, new URLSearchParams({ width: pictured.length > 1 ? "256" : "512" }));
    if (signal.aborted) return;
    if (answer.status !== 200) throw new Error(sentence(answer));
    const address = URL.createObjectURL(new Blob([answer.body as BlobPart], { type: "image/png" }));
    signal.addEventListener("abort", () => URL.revokeObjectURL(address));
    row.append(h("figure", {}, h("img", { src: address, alt: `picture of ${run.file.name}, ${run.title}` }), h("figcaption", {}, run.file.name)));
  }
  body.append(row);
}
