// The menu of the columns: which are shown, in which order, which stay at the left.
import type { Arranged } from "./arranged.js";
import type { Column } from "./columns.js";
import { h } from "./dom.js";

/** Fills the menu with a list of all columns that are known, those that are shown first. */
export function chooser(body: HTMLElement, columns: Arranged, signal: AbortSignal): void {
  const list = h("ul", { class: "bh-choices" }), said = h("span", { role: "status" });
  const again = () => {
    const at = list.contains(document.activeElement) ? document.activeElement as HTMLElement : null;
    fill(at?.closest("li")!.dataset.key, at?.dataset.what);
  };
  const fill = (key = "", what = "") => {
    const shown = columns.all.filter((column) => columns.isShown(column.key)), hidden = columns.all.filter((column) => !columns.isShown(column.key));
    list.replaceChildren(...[...shown, ...hidden].map((column) => choice(column, shown)));
    const place = shown.findIndex((column) => column.key === key) + 1;
    said.textContent = key && what !== "show" && place ? `${place} of ${shown.length}` : `${shown.length} of ${columns.all.length} shown`;
    const same = [...list.children].find((item) => (item as HTMLElement).dataset.key === key);
    (same?.querySelector<HTMLElement>(`[data-what="${what}"]:enabled`) ?? same?.querySelector<HTMLElement>("input"))?.focus();
  };
  const choice = (column: Column, shown: Column[]) => {
    const { key, title } = column, at = shown.indexOf(column), pinned = columns.isPinned(key);
    const act = (what: string, change: () => void) => () => { change(); fill(key, what); };
    const button = (what: string, sign: string, label: string, possible: boolean, change: () => void, pressed?: boolean) =>
      h("button", { type: "button", "data-what": what, "aria-label": `${label} ${title}`, title: label, disabled: !possible, "aria-pressed": pressed, onclick: act(what, change) }, sign);
    const beside = (step: number) => shown[at + step] !== undefined && columns.isPinned(shown[at + step]!.key) === pinned;
    const box = h("input", {
      type: "checkbox", "data-what": "show", checked: at >= 0, disabled: at >= 0 && shown.length === 1,
      onchange: () => act("show", () => columns.show(key, box.checked))(),
    });
    return h("li", { "data-key": key }, h("label", {}, box, h("span", {}, title, column.kind && h("small", {}, ` ${column.kind}`))), at >= 0 && h("span", { class: "bh-moves" },
      button("up", "↑", "move up", beside(-1), () => columns.move(key, -1)),
      button("down", "↓", "move down", beside(1), () => columns.move(key, 1)),
      button("pin", "⇤", "keep at the left", true, () => columns.pin(key, !pinned), pinned)));
  };
  const reset = h("button", { type: "button", onclick: () => { columns.reset(); fill(); } }, "reset");
  fill();
  columns.grown = again;
  void columns.hear();
  signal.addEventListener("abort", () => { columns.grown = null; });
  body.replaceChildren(list, h("div", { class: "bh-foot" }, said, reset));
  list.querySelector("input")!.autofocus = true;
}
