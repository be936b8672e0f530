// The menu that copies rows: those that are selected, or all that match, as Markdown or CSV.
import { toClipboard } from "./clipboard.js";
import type { Column } from "./columns.js";
import { h } from "./dom.js";
import { MOST, ofIds, read } from "./pages.js";
import type { Page, Run } from "./records.js";
import { query, type Filter } from "./rows.js";
import { csv, markdown, type Cell } from "./tabular.js";
import { json, type Transport } from "./transport.js";

/** What can be copied now; `total` is how many rows match. */
export interface Source { transport: Transport; filter: Filter; ids: number[]; total: number; exact: boolean; columns: Column[] }

/** Fills the menu; closing it stops what is under way. */
export function copying(body: HTMLElement, source: Source, signal: AbortSignal): void {
  const { ids, total, exact } = source;
  const said = h("p", { role: "status" }), bar = h("progress", { "aria-label": "rows read", hidden: true });
  const line = (what: string, count: number, questions: () => URLSearchParams[]) => h("fieldset", {}, h("legend", {}, what), ...([["Markdown", markdown], ["CSV", csv]] as const).map(
    ([name, write]) => h("button", { type: "button", disabled: !count, "aria-label": `${what} as ${name}`, onclick: () => void run(count, questions(), write) }, name)));
  const ask = (asked: URLSearchParams) => json<Page<Run>>(source.transport, "GET", "v1/runs", asked);
  const run = async (count: number, questions: URLSearchParams[], write: typeof csv) => {
    Object.assign(bar, { hidden: false, max: Math.min(count, MOST) || 1, value: 0 });
    try {
      const found = await read(ask, questions, signal, (rows) => { bar.value = rows; said.textContent = `${rows.toLocaleString("en")} rows read …`; });
      const columns = source.columns.filter((column) => column.text);
      const text = write(columns.map((column) => column.title), found.rows.map((each) => columns.map((column): Cell => column.text!(each))));
      const told = `${found.rows.length.toLocaleString("en")} rows${found.more ? `, the first of ${exact ? "" : "more than "}${count.toLocaleString("en")}; narrow the search to copy the others` : ""}`;
      if (signal.aborted) return;
      if (await toClipboard(text)) said.textContent = `copied ${told}`;
      else said.replaceChildren(`${told}: press Ctrl+C`, byHand(text));
    } catch (error) { said.textContent = (error as Error).message; }
    bar.hidden = true;
  };
  body.replaceChildren(
    line(`${ids.length.toLocaleString("en")} selected`, ids.length, () => ofIds(source.filter, ids)),
    line(`all ${exact ? "" : "more than "}${total.toLocaleString("en")} that match`, total, () => [query(source.filter)]), bar, said,
  );
  const first = body.querySelector<HTMLElement>("button:enabled");
  if (first) first.autofocus = true;
}

/** Where the browser gives pages no clipboard, as without HTTPS. */
function byHand(text: string): HTMLElement {
  const area = h("textarea", { readOnly: true, value: text, rows: 4, "aria-label": "rows" });
  queueMicrotask(() => { area.focus(); area.select(); });
  return area;
}
