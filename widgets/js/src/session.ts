// Session: where this server runs, what it uses, and how long it stays.
import type { Model } from "./comm.js";
import { direct } from "./direct.js";
import { h } from "./dom.js";
import { json, type Transport } from "./transport.js";
import { clock } from "./when.js";

interface Usage { cores?: number; memory?: number | null; used?: number }

const WARNED = [30, 10, 5]; // minutes before the end that are said aloud

export function session(model: Model, el: HTMLElement, signal: AbortSignal): void {
  const { site, profile, ends_at, node, server, usage } = model.get("options") as Record<string, any>;
  const left = h("dd", { role: "timer" }), memory = h("dd", {}), cores = h("dd", {});
  const said = h("div", { class: "bh-note bh-error", role: "alert", hidden: true });
  const rows: [string, Node | string][] = [
    ["where", [site, node].filter(Boolean).join(", ") || "unknown"], ["profile", profile || "unknown"], ["cores", cores], ["memory", memory], ["time left", left],
  ];
  const list = h("dl", { class: "bh-session" });
  for (const [name, value] of rows) list.append(h("dt", {}, name), typeof value === "string" ? h("dd", {}, value) : value);
  el.append(h("div", { class: "bh-root" }, said, list));

  const show = ({ cores: number, memory: limit, used }: Usage) => {
    cores.textContent = number === undefined ? "unknown" : String(number);
    memory.textContent = used === undefined ? "unknown" : `${bytes(used)} in use${limit ? ` of ${bytes(limit)}` : ", no limit is known"}`;
    memory.classList.toggle("bh-error", Boolean(limit && used && used > 0.9 * limit));
  };
  show((usage ?? {}) as Usage);
  // asked when somebody looks, and not by the clock: a page that asks keeps an idle server alive
  let reached: Transport | null = null;
  const look = async () => {
    const transport = document.hidden ? null : (reached ??= await direct(server));
    if (transport && !signal.aborted) await json<Usage>(transport, "GET", "session").then(show, () => undefined);
  };
  addEventListener("focus", () => void look(), { signal });
  el.addEventListener("pointerenter", () => void look(), { signal });

  let warned = Infinity;
  const tick = () => {
    if (!ends_at) { left.textContent = "no limit: this server stays until it is stopped"; return; }
    const minutes = Math.floor((Date.parse(ends_at) - Date.now()) / 60000);
    const time = minutes >= 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes} min`;
    left.textContent = minutes < 0 ? "over" : `${time} (until ${clock(ends_at)})`;
    const near = WARNED.filter((bound) => minutes < bound).at(-1);
    if (near !== undefined && near < warned) {
      warned = near;
      said.hidden = false;
      said.textContent = minutes < 0 ? "This server's time is over." : `This server ends at ${clock(ends_at)}, in less than ${near} minutes: save your work. What is processed goes on, and is there when you start again.`;
    }
  };
  tick();
  const timer = setInterval(tick, 10000);
  signal.addEventListener("abort", () => clearInterval(timer));
}

function bytes(number: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  for (; number >= 1000 && at < units.length - 1; at++) number /= 1000;
  return `${Number(number.toPrecision(3))} ${units[at]}`;
}
