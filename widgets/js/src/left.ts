// Panels of views that ended: a table that is painted anew goes on with its own, and with all that somebody did in it.
import type { Panel } from "./view.js";

const PATIENCE_MS = 60_000; // after which nobody goes on with it: the table was closed

export class Left {
  private readonly panels = new Map<Panel, number>(); // and what ends them

  put(panel: Panel): void {
    this.panels.set(panel, window.setTimeout(() => { this.panels.delete(panel); panel.end(); }, PATIENCE_MS));
  }

  /** The one that was left first: views are painted anew in the order in which they ended. */
  take(): Panel | undefined {
    for (const [panel, timer] of this.panels) {
      clearTimeout(timer);
      this.panels.delete(panel);
      return panel;
    }
    return undefined;
  }
}
