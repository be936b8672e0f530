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

const REST_MS = 400; // that the pointer rests in a cell; who only clicks a row does not meet the sign

/** Puts the sign into the cell that the pointer rests in; the keyboard has the search field, which / leads to. */
export function finder(element: HTMLElement, termAt: (cell: HTMLElement) => string, search: (term: string) => void): void {
  const sign = h("button", { type: "button", class: "bh-find", tabindex: "-1", "aria-hidden": "true" }, "⌕");
  sign.addEventListener("pointerdown", (event) => {
    event.stopPropagation();
    event.preventDefault();
    search(sign.dataset.term!);
  });
  let resting = 0, inside: Element | null = null;
  const leave = () => { clearTimeout(resting); inside = null; sign.parentElement?.classList.remove("bh-has-find"); sign.remove(); };
  element.addEventListener("pointerover", (event) => {
    const cell = (event.target as Element).closest<HTMLElement>("[data-column]");
    if (cell && cell === inside) return;
    leave();
    inside = cell;
    if (cell) resting = window.setTimeout(() => {
      const term = termAt(cell);
      if (!term) return;
      sign.dataset.term = term;
      sign.title = `search for ${term}`;
      cell.classList.add("bh-has-find");
      cell.append(sign);
    }, REST_MS);
  });
  element.addEventListener("pointerleave", leave);
  element.addEventListener("pointerdown", leave);
}
