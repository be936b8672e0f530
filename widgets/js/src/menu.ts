// A button that opens a small window over the page; Escape and a click elsewhere close it.
import { h, keep } from "./dom.js";

const WIDTH = 320; // pixels, as in theme.css

/** Which menu is open, for a view that is painted anew. */
export interface Open { menu: string }

/** The button and its window. `fill` is called when it opens, and its signal is aborted when it closes. */
export function menu(label: string, kept: Open, fill: (body: HTMLElement, signal: AbortSignal) => void): HTMLElement[] {
  let open = new AbortController();
  const body = h("div", { popover: "auto", class: "bh-menu", role: "dialog", "aria-label": label });
  const button = h("button", { type: "button", "aria-haspopup": "dialog", "aria-expanded": "false", popoverTargetElement: body }, label);
  const beside = () => {
    const at = button.getBoundingClientRect(), below = innerHeight - at.bottom - 8;
    const room = Math.max(below, at.top - 8);
    body.style.left = `${Math.max(4, Math.min(at.left, document.documentElement.clientWidth - WIDTH - 8))}px`;
    Object.assign(body.style, room === below ? { top: `${at.bottom + 2}px`, bottom: "auto" } : { top: "auto", bottom: `${innerHeight - at.top + 2}px` });
    body.style.maxHeight = `${room}px`;
  };
  body.addEventListener("beforetoggle", (event) => {
    const opens = (event as ToggleEvent).newState === "open";
    button.setAttribute("aria-expanded", String(opens));
    open.abort();
    kept.menu = opens ? label : "";
    if (!opens) return;
    open = new AbortController();
    const { signal } = open;
    beside();
    fill(body, signal);
    document.addEventListener("scroll", beside, { capture: true, signal });
    window.addEventListener("resize", beside, { signal });
  });
  body.addEventListener("keydown", (event) => {
    keep(event);
    if (event.key !== "Escape") return;
    event.preventDefault();
    body.hidePopover();
    button.focus();
  });
  if (kept.menu === label) queueMicrotask(() => { if (body.isConnected) body.showPopover(); });
  return [button, body];
}
