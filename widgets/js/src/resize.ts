// Making a column wider or narrower: by its header's edge, or with Alt and an arrow key. Making the table higher: by its lower edge.
import { h, keep } from "./dom.js";
import { HIGHEST, LOWEST } from "./layout.js";
import { ROW } from "./sight.js";

const STEP = 16; // pixels a key press

/** The edge of a header; `set` is told pixels while it is dragged, 0 after a double click, and `hold` at its begin and end how to see whether it is. */
export function edge(set: (pixels: number) => void, hold: (held: () => boolean) => void): HTMLElement {
  let from: { x: number; width: number } | null = null;
  return h("span", {
    class: "bh-edge", "aria-hidden": "true",
    onpointerdown: (event: PointerEvent) => {
      const own = event.currentTarget as HTMLElement;
      if (event.button !== 0) return;
      own.setPointerCapture(event.pointerId);
      from = { x: event.clientX, width: own.parentElement!.offsetWidth };
      hold(() => own.hasPointerCapture(event.pointerId));
      event.preventDefault();
    },
    onpointermove: (event: PointerEvent) => { if (from) set(Math.max(1, from.width + event.clientX - from.x)); },
    onlostpointercapture: () => { from = null; hold(() => false); },
    ondblclick: () => set(0),
  });
}

/** The width that a key asks for a focused header; nothing where it asks for none. */
export function widthBy(event: KeyboardEvent, header: HTMLElement): number | null {
  const step = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
  return event.altKey && step !== undefined ? Math.max(1, header.offsetWidth + step) : null;
}

/** The edge below the rows; `set` is told pixels, 0 after a double click or the key Home. */
export function lowerEdge(rows: HTMLElement, set: (pixels: number) => void): HTMLElement {
  let from: { y: number; height: number } | null = null;
  return h("div", {
    class: "bh-lower", role: "separator", tabindex: "0", "aria-orientation": "horizontal", "aria-label": "height of the table", "aria-valuemin": String(LOWEST), "aria-valuemax": String(HIGHEST),
    title: "drag to make the table higher, double click for its usual height",
    onpointerdown: (event: PointerEvent) => {
      if (event.button !== 0) return;
      (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
      from = { y: event.clientY, height: rows.offsetHeight };
    },
    onpointermove: (event: PointerEvent) => { if (from) set(Math.max(1, from.height + event.clientY - from.y)); },
    onlostpointercapture: () => { from = null; },
    ondblclick: () => set(0),
    onkeydown: (event: KeyboardEvent) => {
      keep(event);
      const step = { ArrowUp: -ROW, ArrowDown: ROW, PageUp: -10 * ROW, PageDown: 10 * ROW, Home: -Infinity }[event.key];
      if (step === undefined) return;
      set(step === -Infinity ? 0 : Math.max(1, rows.offsetHeight + step));
      event.preventDefault();
    },
  });
}
