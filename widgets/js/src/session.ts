// Session: where this server runs and how long it stays.
import type { Model } from "./comm.js";
import { clock, h } from "./dom.js";

export function session(model: Model, el: HTMLElement, signal: AbortSignal): void {
  const { site, profile, ends_at, node } = model.get("options") as Record<string, string>;
  const left = h("dd", { role: "timer" });
  const rows: [string, Node | string][] = [["where", [site, node].filter(Boolean).join(", ") || "unknown"], ["profile", profile || "unknown"], ["time left", left]];
  const list = h("dl", { class: "bh-session" });
  for (const [name, value] of rows) list.append(h("dt", {}, name), typeof value === "string" ? h("dd", {}, value) : value);
  el.append(h("div", { class: "bh-root" }, list));
  const tick = () => {
    if (!ends_at) { left.textContent = "no limit"; return; }
    const minutes = Math.floor((Date.parse(ends_at) - Date.now()) / 60000);
    const time = minutes >= 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes} min`;
    left.textContent = minutes < 0 ? "over" : `${time} (until ${clock(ends_at)})${minutes < 10 ? ": save your work" : ""}`;
  };
  tick();
  const timer = setInterval(tick, 10000);
  signal.addEventListener("abort", () => clearInterval(timer));
}
