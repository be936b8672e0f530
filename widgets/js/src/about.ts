// About a run: why it is in its state, and where its result comes from: the file, the function in its version, the parameters, the times.
import { duration, h } from "./dom.js";
import type { Run } from "./records.js";
import { json } from "./transport.js";
import type { Context } from "./view.js";
import { STATES } from "./columns.js";
import { sentences } from "./why.js";

export async function aboutTab(context: Context, body: HTMLElement, _runs: Run[], focus: Run, signal: AbortSignal): Promise<void> {
  const run = await json<Run>(context.transport, "GET", `v1/runs/${focus.id}`);
  if (signal.aborted) return;
  const list = h("dl", { class: "bh-facts" });
  const fact = (name: string, value: string | null | undefined) => { if (value) list.append(h("dt", {}, name), h("dd", {}, value)); };
  fact("run", `${run.id}, ${STATES[run.state][1]}${run.quarantined ? ", held in quarantine until it is released" : ""}`);
  fact("file", `${run.file.path} in ${run.file.storage}, ${run.file.size.toLocaleString("en")} bytes, written ${local(run.file.time)}`);
  fact("function", `${run.title} (${run.function}), version ${run.version || "unknown"}`);
  fact("digest", run.digest);
  fact("parameters", Object.entries(run.parameters).map(([name, value]) => `${name} = ${JSON.stringify(value)}`).join(", ") || "the function's own");
  fact("asked for by", run.cause === "automatic" ? `rule ${run.rule}` : run.requested_by);
  fact("queued", local(run.queued));
  fact("started", run.started && local(run.started));
  if (run.started && run.finished) fact("finished", `${local(run.finished)}, after ${duration((Date.parse(run.finished) - Date.parse(run.started)) / 1000)}`);
  fact("next try", run.next_try && local(run.next_try));
  fact("attempts", run.attempts > 1 ? String(run.attempts) : "");
  fact("where", run.where);
  fact("output", run.output);
  if (run.error) {
    body.append(h("div", { class: "bh-note bh-error" }, h("strong", {}, `${run.error.type}: ${run.error.message}`)));
  }
  body.append(sentences(run.explanation ?? []));
  if (run.error?.traceback.length) body.append(h("details", { open: true }, h("summary", {}, "where it failed"), traceback(run.error.traceback)));
  body.append(list);
  if (run.log_tail) body.append(h("details", {}, h("summary", {}, "what it printed"), h("pre", {}, run.log_tail)));
  const act = (label: string, path: string) => h("button", {
    type: "button", name: path, onclick: async (event: Event) => {
      const button = event.target as HTMLButtonElement;
      button.disabled = true;
      try { await json(context.transport, "POST", `v1/runs/${run.id}/${path}`); button.textContent = "asked for"; }
      catch (error) { button.textContent = (error as Error).message; }
    },
  }, label);
  if (run.state === "queued" || run.state === "running") body.append(act("Cancel it", "cancel"));
  if (run.quarantined) body.append(act("Let it run again", "release"));
}

/** Its lines; those of the user's own modules, whose paths are relative, are marked. */
function traceback(lines: string[]): HTMLElement {
  const own = (line: string) => !line.startsWith("/") && !line.startsWith("caused by ");
  return h("pre", {}, ...lines.map((line) => h("div", {}, own(line) && h("mark", { title: "the function's own line" }, line), !own(line) && line)));
}

function local(time: string): string {
  return new Date(time).toLocaleString([], { hourCycle: "h23" });
}
