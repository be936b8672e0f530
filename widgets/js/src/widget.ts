// The entry: one widget by its kind.
import type { Model } from "./comm.js";
import { processed } from "./processed.js";
import { session } from "./session.js";
import theme from "./theme.css";

export default {
  async render({ model, el, signal }: { model: Model; el: HTMLElement; signal?: AbortSignal }): Promise<() => void> {
    const ended = new AbortController();
    signal?.addEventListener("abort", () => ended.abort());
    if (!document.getElementById("beamhub-theme")) {
      const style = document.createElement("style");
      style.id = "beamhub-theme";
      style.textContent = theme;
      document.head.append(style);
    }
    if (model.get("kind") === "session") session(model, el, ended.signal);
    else void processed(model, el, ended);
    return () => ended.abort();
  },
};
