// What stands in a cell or header is searched for by a click on the sign that appears in it.
import type { Column } from "./columns.js";
import { h } from "./dom.js";
import type { Run } from "./records.js";

/** The term that finds runs which have in a column what this one has; of a header its beginning. "": there is none. */
export function termOf(column: Column, run?: Run): string {
  if (column.word === undefined || (!run && !column.word)) return "";
  const value = run ? String((column.term ?? column.text)?.(run) ?? "") : "";
  if (run && !value) return "";
  return column.word ? `${quoted(column.word)}:${run ? quoted(value) : ""}` : quoted(value);
}

function quoted(text: string): string {
  const plain = text.replaceAll('"', "");
  return /[\s:<>=]/.test(plain) && !/^\d{4}-\d{2}-\d{2}T/.test(plain) ? `"${plain}"` : plain;
}

/** Puts the sign into the cell under the pointer; the keyboard has the search field, which / leads to. */
export function finder(element: HTMLElement, termAt: (cell: HTMLElement) => string, search: (term: string) => void): void {
  const sign = h("button", { type: "button", class: "bh-find", tabindex: "-1", "aria-hidden": "true" }, "⌕");
  sign.addEventListener("pointerdown", (event) => {
    event.stopPropagation();
    event.preventDefault();
    search(sign.dataset.term!);
  });
  element.addEventListener("pointerover", (event) => {
    const cell = (event.target as Element).closest<HTMLElement>("[data-column]");
    if (cell?.contains(sign)) return;
    const term = cell ? termAt(cell) : "";
    if (!cell || !term) { sign.remove(); return; }
    sign.dataset.term = term;
    sign.title = `search for ${term}`;
    cell.append(sign);
  });
  element.addEventListener("pointerleave", () => sign.remove());
}
