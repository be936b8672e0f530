// Why a file is not in the table, or a run is in its state: what the service says, sentence by sentence.
import { h, keep } from "./dom.js";
import { json, type Transport } from "./transport.js";

interface Explanation { path: string; summary: string; explanation: string[] }

/** Sentences below each other; what to do stands out. */
export function sentences(told: string[]): HTMLElement {
  return h("ul", { class: "bh-sentences" }, ...told.map((one) => h("li", {}, one.startsWith("To do:") ? h("strong", {}, one) : one)));
}

/** "Why is my file not here?": a button, and behind it a question for a path or name. */
export function whyNot(transport: Transport, search: () => string): HTMLElement {
  const told = h("div", { role: "status" });
  const path = h("input", { type: "text", onkeydown: keep });
  const form = h("form", { hidden: true, onsubmit: (event: Event) => { event.preventDefault(); void ask(); } },
    h("label", {}, "the file's name or path ", path), h("button", { type: "submit" }, "Ask"));
  const open = h("button", { type: "button", "aria-expanded": "false", onclick: () => {
    form.hidden = !form.hidden;
    open.setAttribute("aria-expanded", String(!form.hidden));
    if (form.hidden) return;
    path.value ||= search().split(/\s+/).filter((word) => !word.includes(":")).join(" ");
    path.focus();
  } }, "Why is my file not here?");
  async function ask(): Promise<void> {
    if (!path.value.trim()) { path.focus(); return; }
    told.textContent = "asking …";
    try {
      const found = await json<Explanation>(transport, "GET", "v1/files/explain", new URLSearchParams({ path: path.value.trim() }));
      told.replaceChildren(h("p", {}, `${found.path}:`), sentences(found.explanation));
    } catch (error) { told.textContent = (error as Error).message; }
  }
  return h("div", { class: "bh-whynot" }, open, form, told);
}
