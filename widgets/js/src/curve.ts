// The curves of the selected runs, laid over each other, with the facility's own dashed.
import uPlot from "uplot";
import css from "uplot/dist/uPlot.min.css";
import { h, number } from "./dom.js";
import type { Curve, Plot, Run } from "./records.js";
import { json } from "./transport.js";
import type { Context } from "./view.js";

// Okabe and Ito's colours, which the colour-blind can tell apart; and besides colour, another dash.
const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D1F"];
const DASHES = [[], [8, 3], [3, 3], [8, 3, 2, 3], [12, 4]];
const MOST = 12; // curves
const logs = { x: true, y: true, chosen: false };

interface Drawn { run: Run; curve: Curve; label: string }

export async function curveTab(context: Context, body: HTMLElement, runs: Run[], focus: Run, signal: AbortSignal): Promise<void> {
  const plotted = runs.filter((run) => run.has.includes("plot"));
  if (!plotted.length) {
    const why = focus.state === "failed" ? `failed: ${focus.error?.message ?? ""}` : focus.state === "done" ? "done, and has no curve" : `${focus.state}: the curve comes when it is done`;
    body.append(h("div", { class: "bh-empty" }, `${focus.file.name} is ${why}`));
    return;
  }
  const plots = await Promise.all(plotted.slice(0, MOST).map((run) => json<Plot>(context.transport, "GET", `v1/results/${run.id}/plot`)));
  if (signal.aborted) return;
  const first = plots[0]!;
  if (!logs.chosen) Object.assign(logs, { x: first.x.log, y: first.y.log });
  const holder = h("div", { class: "bh-plot" });
  const draw = () => { holder.replaceChildren(); render(holder, plotted, plots, signal); };
  const toggle = (axis: "x" | "y", label: string) => h("label", {}, h("input", {
    type: "checkbox", checked: logs[axis], onchange: (event: Event) => { logs[axis] = (event.target as HTMLInputElement).checked; logs.chosen = true; draw(); },
  }), ` ${label}`);
  body.append(h("div", { class: "bh-tools" }, toggle("x", `log ${first.x.label}`), toggle("y", `log ${first.y.label}`)), holder);
  requestAnimationFrame(draw);
}

function render(holder: HTMLElement, runs: Run[], plots: Plot[], signal: AbortSignal): void {
  const drawn = choose(runs, plots), axes = plots[0]!;
  const xs = [...new Set(drawn.flatMap(({ curve }) => curve.x.filter((x): x is number => x !== null && (!logs.x || x > 0))))].sort((a, b) => a - b);
  const at = new Map(xs.map((x, index) => [x, index]));
  const data = [xs, ...drawn.map(({ curve }) => spread(curve, curve.y, at, xs.length))] as uPlot.AlignedData;
  const errors = drawn.map(({ curve }) => (curve.error ? spread(curve, curve.error, at, xs.length) : null));
  if (!document.getElementById("beamhub-uplot")) document.head.append(h("style", { id: "beamhub-uplot" }, css));
  const ink = getComputedStyle(holder).color, grid = { width: 1 };
  const faint = `rgba(${(ink.match(/[\d.]+/g) ?? ["128", "128", "128"]).slice(0, 3).join(",")}, 0.12)`;
  const axis = (label: string, unit: string, log: boolean, scale: string): uPlot.Axis => ({
    scale, label: unit ? `${label} / ${unit}` : label, stroke: ink, grid: { ...grid, stroke: faint }, ticks: { stroke: faint },
    values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : log ? power(tick) : number(tick))),
  });
  const plot = new uPlot({
    width: Math.max(280, holder.clientWidth || 600), height: 300,
    scales: { x: { time: false, distr: logs.x ? 3 : 1 }, y: { distr: logs.y ? 3 : 1 } },
    axes: [axis(axes.x.label, axes.x.unit, logs.x, "x"), { ...axis(axes.y.label, axes.y.unit, logs.y, "y"), size: 62 }],
    series: [{ label: axes.x.label }, ...drawn.map(({ curve, label }, index): uPlot.Series => ({
      label, stroke: curve.role === "reference" ? ink : COLOURS[index % COLOURS.length]!, width: 1.5, spanGaps: true,
      dash: curve.role === "reference" ? [5, 4] : DASHES[Math.floor(index / COLOURS.length) % DASHES.length]!, points: { show: curve.role !== "reference", size: 4 },
    }))],
    hooks: { draw: [(u: uPlot) => drawErrors(u, data, errors)] },
  }, data, holder);
  holder.dataset.curves = String(drawn.length);
  plot.root.setAttribute("role", "img");
  plot.root.setAttribute("aria-label", `${axes.y.label} over ${axes.x.label}: ${drawn.map(({ label }) => label).join("; ")}`);
  const resized = new ResizeObserver(() => { if (holder.clientWidth > 100) plot.setSize({ width: holder.clientWidth, height: 300 }); });
  resized.observe(holder);
  signal.addEventListener("abort", () => { resized.disconnect(); plot.destroy(); });
}

/** All curves of one run; of several runs the first of each; and each reference once. */
function choose(runs: Run[], plots: Plot[]): Drawn[] {
  const found: Drawn[] = [], references = new Set<string>();
  plots.forEach((plot, index) => {
    const run = runs[index]!, data = plot.curves.filter((curve) => curve.role === "data");
    for (const curve of plots.length === 1 ? data : data.slice(0, 1)) found.push({ run, curve, label: plots.length === 1 ? curve.name : run.file.name });
    for (const curve of plot.curves.filter((one) => one.role === "reference")) {
      const key = `${curve.name}:${curve.y.slice(0, 8).join()}`;
      if (!references.has(key)) { references.add(key); found.push({ run, curve, label: curve.name }); }
    }
  });
  return found;
}

function spread(curve: Curve, values: (number | null)[], at: Map<number, number>, length: number): (number | null)[] {
  const out: (number | null)[] = new Array(length).fill(null);
  curve.x.forEach((x, index) => {
    const place = x === null ? undefined : at.get(x), value = values[index];
    if (place !== undefined && value !== null && value !== undefined && (!logs.y || value > 0)) out[place] = value;
  });
  return out;
}

function drawErrors(u: uPlot, data: uPlot.AlignedData, errors: ((number | null)[] | null)[]): void {
  errors.forEach((error, index) => {
    if (!error || u.series[index + 1]!.show === false) return;
    const y = data[index + 1]!, { ctx } = u, floor = u.scales.y!.min ?? 0;
    ctx.save();
    ctx.strokeStyle = (u.series[index + 1] as any)._stroke || "#888";
    ctx.globalAlpha = 0.5;
    ctx.beginPath();
    data[0].forEach((x, at) => {
      const value = y[at], half = error[at];
      if (value === null || value === undefined || !half) return;
      const left = u.valToPos(x, "x", true), low = logs.y ? Math.max(value - half, floor || value / 10) : value - half;
      if (low <= 0 && logs.y) return;
      ctx.moveTo(left, u.valToPos(low, "y", true));
      ctx.lineTo(left, u.valToPos(value + half, "y", true));
    });
    ctx.stroke();
    ctx.restore();
  });
}

function power(value: number): string {
  const exponent = Math.log10(value);
  if (Math.abs(exponent - Math.round(exponent)) > 1e-6) return "";
  const digits = "⁰¹²³⁴⁵⁶⁷⁸⁹", text = String(Math.abs(Math.round(exponent)));
  if (Math.abs(exponent) < 3.5) return number(value);
  return `10${exponent < 0 ? "⁻" : ""}${[...text].map((digit) => digits[Number(digit)]).join("")}`;
}
