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

/** Where the sign is, and whether it has the focus. */
export interface Called { cell: HTMLElement; focused: boolean }

export interface Finder {
  /** Leads the keyboard to the next cell of a row with a sign. */
  walk(row: HTMLElement, step: 1 | -1): void;
  /** Where the sign is; null where it is nowhere. */
  called(): Called | null;
  /** Puts the sign into the cell where it was, of this row that was painted anew; whether it has the focus. */
  again(row: HTMLElement | null, called: Called): boolean;
}

/** Puts the sign into the cell that the pointer rests in, that a finger tapped or that the keyboard was led to. */
export function finder(element: HTMLElement, termAt: (cell: HTMLElement) => string, search: (term: string) => void): Finder {
  const sign = h("button", { type: "button", class: "bh-find", tabindex: "-1" }, "⌕");
  sign.addEventListener("pointerdown", (event) => {
    event.stopPropagation();
    event.preventDefault();
    search(sign.dataset.term!);
  });
  sign.addEventListener("click", (event) => {
    event.stopPropagation();
    if (event.detail) return; // it was pressed
    sign.closest<HTMLElement>(".bh-row")?.focus();
    search(sign.dataset.term!);
  });
  sign.addEventListener("blur", () => setTimeout(() => { if (!sign.matches(":focus")) leave(); }));
  let resting = 0, inside: Element | null = null;
  const leave = () => { clearTimeout(resting); inside = null; sign.parentElement?.classList.remove("bh-has-find"); sign.remove(); };
  const put = (cell: HTMLElement): boolean => {
    const term = termAt(cell);
    if (!term) return false;
    sign.parentElement?.classList.remove("bh-has-find");
    sign.dataset.term = term;
    sign.ariaLabel = sign.title = `search for ${term}`;
    cell.classList.add("bh-has-find");
    cell.append(sign);
    return true;
  };
  const cellOf = (event: PointerEvent) => (event.target as Element).closest<HTMLElement>("[data-column]");
  element.addEventListener("pointerover", (event) => {
    const cell = cellOf(event);
    if ((cell && cell === inside) || sign.matches(":focus")) return;
    leave();
    inside = cell;
    if (cell) resting = window.setTimeout(() => { if (!sign.matches(":focus")) put(cell); }, REST_MS);
  });
  element.addEventListener("pointerup", (event) => {
    const cell = cellOf(event);
    if (event.pointerType === "touch" && cell) put(cell);
  }, { capture: true }); // before the row is chosen, which may paint it anew
  element.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") leave(); });
  element.addEventListener("pointerdown", leave);
  return {
    called: () => (sign.isConnected ? { cell: sign.parentElement!, focused: sign.matches(":focus") } : null),
    walk(row, step) {
      const cells = [...row.children] as HTMLElement[], at = sign.matches(":focus") ? cells.indexOf(sign.parentElement!) : step > 0 ? -1 : cells.length;
      for (let next = at + step; cells[next]; next += step) if (put(cells[next]!)) return sign.focus();
      row.focus();
    },
    again(row, { cell: before, focused }) {
      const there = focused ? sign.matches(":focus") : sign.isConnected;
      const cell = there ? null : row?.querySelector<HTMLElement>(`[data-column="${CSS.escape(before.dataset.column!)}"]`);
      if (cell && put(cell)) {
        if (inside === before) inside = cell; // the pointer that rests there did not go to another
        if (focused) sign.focus({ preventScroll: true });
      }
      return sign.matches(":focus");
    },
  };
}
