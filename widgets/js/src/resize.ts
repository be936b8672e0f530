// Making a column wider or narrower: by its header's edge, or with Alt and an arrow key.
import { h } from "./dom.js";

const STEP = 16; // pixels a key press

/** The edge of a header; `set` is told pixels while it is dragged, 0 after a double click. */
export function edge(set: (pixels: number) => void): HTMLElement {
  let from: { x: number; width: number } | null = null;
  return h("span", {
    class: "bh-edge", "aria-hidden": "true",
    onpointerdown: (event: PointerEvent) => {
      const own = event.currentTarget as HTMLElement;
      if (event.button !== 0) return;
      own.setPointerCapture(event.pointerId);
      from = { x: event.clientX, width: own.parentElement!.offsetWidth };
      event.preventDefault();
    },
    onpointermove: (event: PointerEvent) => { if (from) set(Math.max(1, from.width + event.clientX - from.x)); },
    onlostpointercapture: () => { from = null; },
    ondblclick: () => set(0),
  });
}

/** The width that a key asks for a focused header; nothing where it asks for none. */
export function widthBy(event: KeyboardEvent, header: HTMLElement): number | null {
  const step = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
  return event.altKey && step !== undefined ? Math.max(1, header.offsetWidth + step) : null;
}
