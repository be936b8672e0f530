// The curves of the selected runs: over each other, beside the first, or one above the other; with the facility's own dashed.
import uPlot from "uplot";
import css from "uplot/dist/uPlot.min.css";
import { compare, shifted, type Mode } from "./compare.js";
import { button, h, keep, number } from "./dom.js";
import { beside, told, type Drawn } from "./readout.js";
import type { Axis, Curve, Plot, Run } from "./records.js";
import { first, left } from "./shown.js";
import { json } from "./transport.js";
import { before, changes, titles } from "./versions.js";
import type { Context } from "./view.js";

// Okabe and Ito's colours, which the colour-blind can tell apart; and besides colour, another dash.
const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D1F"];
const DASHES = [[], [8, 3], [3, 3], [8, 3, 2, 3], [12, 4]];
const MOST = 12; // curves
const MODES: Record<Mode, string> = { overlay: "over each other", difference: "difference to the first", ratio: "ratio to the first", versions: "difference to the version before" };

type Range = [number, number];

/** How curves are looked at; stays when another row is chosen, as far as its axes are the same. */
const look = { mode: "overlay" as Mode, errors: true, offset: 0, logs: new Map<string, boolean>(), ranges: new Map<string, Range>(), chosen: new Map<string, boolean>() };

/** From now on what is selected is shown as the difference to its version before. */
export function showVersions(): void { look.mode = "versions"; }

export async function curveTab(context: Context, body: HTMLElement, runs: Run[], focus: Run, signal: AbortSignal): Promise<void> {
  const having = runs.filter((run) => run.has.includes("plot")), plotted = first(having, MOST, focus);
  if (!plotted.length) {
    const why = focus.state === "failed" ? `failed: ${focus.error?.message ?? ""}` : focus.state === "done" ? "done, and has no curve" : `${focus.state}: the curve comes when it is done`;
    body.append(h("div", { class: "bh-empty" }, `${focus.file.name} is ${why}`));
    return;
  }
  const plots = await Promise.all(plotted.map((run) => json<Plot>(context.transport, "GET", `v1/results/${run.id}/plot`)));
  if (signal.aborted) return;
  const said = left("curves", plotted.length, having.length, runs.length, context.selected().length);
  if (said) body.append(h("p", { class: "bh-note" }, said));
  new Screen(plotted, plots, signal).show(body);
}

class Screen {
  private readonly holder = h("div", { class: "bh-plot", tabindex: "0", role: "group", "aria-label": "curves: arrow keys move, with Shift from point to point, + and − zoom, 0 shows all" });
  private readonly tools = h("div", { class: "bh-tools", role: "group", "aria-label": "how curves are shown" });
  private readonly said = h("div", { class: "bh-caption" });
  private readonly read = h("div", { class: "bh-read", "aria-live": "off" }); // spoken only where keys lead, not the pointer
  private plot: uPlot | null = null;
  private shown: Drawn[] = [];
  private readonly names: string[];
  private readonly earlier: number[]; // of each run the place of its version before, or -1

  constructor(private readonly runs: Run[], private readonly plots: Plot[], private readonly signal: AbortSignal) {
    this.names = titles(runs);
    this.earlier = runs.map((run) => runs.indexOf(before(run, runs)!));
    this.holder.addEventListener("keydown", (event) => this.key(event));
    this.holder.addEventListener("focus", () => { if (this.holder.matches(":focus-visible")) this.middle(); });
    this.holder.addEventListener("pointermove", () => this.read.setAttribute("aria-live", "off"));
    // the drawing has the theme's colours, and another theme is told by the transition of this one
    const tinted = ({ target, propertyName }: TransitionEvent) => { if (target === this.holder && propertyName === "color") requestAnimationFrame(() => { if (this.plot && !signal.aborted) this.draw(); }); };
    for (const event of ["transitionend", "transitioncancel"] as const) this.holder.addEventListener(event, tinted); // Lab takes styles away meanwhile
    const resized = new ResizeObserver(() => { if (this.holder.clientWidth > 100) this.plot?.setSize({ width: this.holder.clientWidth, height: 300 }); });
    resized.observe(this.holder);
    signal.addEventListener("abort", () => { resized.disconnect(); this.plot?.destroy(); });
  }

  show(body: HTMLElement): void {
    body.append(this.tools, this.said, this.holder, this.read);
    requestAnimationFrame(() => { if (!this.signal.aborted) this.draw(); });
  }

  /** Several rows can be compared; one is as its function made it. */
  private get mode(): Mode { return this.modes.find(([mode]) => mode === look.mode && this.plots.length > 1)?.[0] ?? "overlay"; }
  private get modes(): [Mode, string][] { return (Object.entries(MODES) as [Mode, string][]).filter(([mode]) => mode !== "versions" || this.earlier.some((one) => one >= 0)); }
  private get axes(): Plot { return this.plots[0]!; }
  private name(scale: "x" | "y"): string { return `${scale} ${this.axes[scale].label} ${this.axes[scale].unit} ${scale === "y" ? this.mode : ""}`; }
  private log(scale: "x" | "y"): boolean { return look.logs.get(this.name(scale)) ?? (this.axes[scale].log && (scale === "x" || this.mode === "overlay")); }
  private range(scale: "x" | "y"): Range | undefined {
    const range = look.ranges.get(this.name(scale));
    return range && this.log(scale) && range[0] <= 0 ? undefined : range;
  }

  private draw(): void {
    this.paintTools();
    this.plot?.destroy();
    this.holder.replaceChildren();
    const drawn = (this.shown = this.drawn()), x = this.log("x"), y = this.log("y");
    const xs = [...new Set(drawn.flatMap(({ curve }) => curve.x.filter((one): one is number => one !== null && (!x || one > 0))))].sort((a, b) => a - b);
    const at = new Map(xs.map((one, index) => [one, index]));
    const data = [xs, ...drawn.map(({ curve }) => spread(curve, curve.y, at, xs.length, y))] as uPlot.AlignedData;
    const errors = drawn.map(({ curve }) => (look.errors && curve.error ? spread(curve, curve.error, at, xs.length, y) : null));
    if (!document.getElementById("beamhub-uplot")) document.head.append(h("style", { id: "beamhub-uplot" }, css));
    this.plot = new uPlot(this.options(drawn, data, errors), data, this.holder);
    Object.assign(this.holder.dataset, { curves: String(drawn.length), mode: this.mode });
    this.plot.root.setAttribute("role", "img");
    this.plot.root.setAttribute("aria-label", `${this.label()} over ${this.axes.x.label}: ${drawn.map(({ label }) => label).join("; ")}`);
    const other = this.mode === "versions" ? this.changed() : this.names[0];
    this.said.textContent = this.plots.length === 1 ? this.names[0]! : this.mode === "overlay" ? "" : `${MODES[this.mode]}, ${other}: interpolated on its axis, errors propagated`;
  }

  private options(drawn: Drawn[], data: uPlot.AlignedData, errors: ((number | null)[] | null)[]): uPlot.Options {
    const ink = getComputedStyle(this.holder).color, faint = `rgba(${(ink.match(/[\d.]+/g) ?? ["128", "128", "128"]).slice(0, 3).join(",")}, 0.12)`;
    const axis = (scale: "x" | "y", label: string): uPlot.Axis => ({
      scale, label, stroke: ink, grid: { width: 1, stroke: faint }, ticks: { stroke: faint },
      values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : this.log(scale) ? power(tick) : number(tick))),
    });
    const x = this.range("x"), logY = this.log("y");
    const usual = (low: number | null, high: number | null): uPlot.Range.MinMax => (low === null || high === null ? [null, null] : logY ? uPlot.rangeLog(low, high, 10, false) : uPlot.rangeNum(low, high, 0.1, true));
    return {
      width: Math.max(280, this.holder.clientWidth || 600), height: 300,
      scales: {
        x: { time: false, distr: this.log("x") ? 3 : 1, ...(x ? { min: x[0], max: x[1] } : {}) },
        y: { distr: logY ? 3 : 1, range: (_, low, high) => this.range("y") ?? usual(low, high) },
      },
      axes: [axis("x", unit(this.axes.x)), { ...axis("y", this.label()), size: 62 }],
      cursor: { drag: { x: true, y: true, uni: 30, setScale: false }, bind: { dblclick: () => () => { queueMicrotask(() => this.reset()); return null; } } },
      series: [{ label: this.axes.x.label }, ...drawn.map(({ curve, label }, index): uPlot.Series => ({
        label, stroke: curve.role === "reference" ? ink : COLOURS[index % COLOURS.length]!, width: 1.5, spanGaps: true,
        dash: curve.role === "reference" ? [5, 4] : DASHES[index % DASHES.length]!, points: { show: curve.role !== "reference", size: 4 },
      }))],
      legend: { markers: { dash: (u, index) => (u.series[index]!.dash?.length ? "dashed" : "solid") } },
      hooks: {
        draw: [(u) => drawErrors(u, data, errors, logY)],
        setSelect: [(u) => this.select(u)],
        setCursor: [(u) => this.tell(u)],
        ready: [() => { if (this.read.getAttribute("aria-live") === "polite") this.middle(); }],
        setScale: [(u, name) => { this.holder.dataset[name] = `${u.scales[name]!.min} ${u.scales[name]!.max}`; }],
      },
    };
  }

  private changed(): string {
    const found = this.runs.flatMap((run, index) => (this.earlier[index]! < 0 ? [] : changes(this.runs[this.earlier[index]!]!, run)));
    return [...new Set(found)].join(", ") || "with the same parameters";
  }

  private label(): string {
    const { label } = this.axes.y, first = `the ${this.mode === "versions" ? "version before" : "first"} (interpolated)`;
    if (this.mode === "ratio") return `${label} ÷ ${first}`;
    return unit(this.axes.y, this.mode !== "overlay" ? `${label} − ${first}` : look.offset && this.plots.length > 1 ? `${label}, shifted` : label);
  }

  /** The curves that are chosen of each run, and in an overlay each reference once. */
  private drawn(): Drawn[] {
    const several = this.plots.length > 1, found: Drawn[] = [], references = new Set<string>();
    this.plots.forEach((plot, index) => {
      const data = plot.curves.filter((curve) => curve.role === "data"), name = this.names[index]!;
      data.forEach((curve, place) => {
        if (data.length > 1 && !this.isChosen(curve.name, place)) return;
        found.push({ curve, label: !several ? curve.name : data.length > 1 && place ? `${name}: ${curve.name}` : name });
      });
      for (const curve of this.mode === "overlay" ? plot.curves.filter((one) => one.role === "reference") : []) {
        const key = `${curve.name}:${curve.y.slice(0, 8).join()}`;
        if (!references.has(key)) { references.add(key); found.push({ curve, label: curve.name }); }
      }
    });
    return this.mode === "overlay" ? this.waterfall(found) : this.compared(found);
  }

  private waterfall(found: Drawn[]): Drawn[] {
    if (!look.offset || this.plots.length === 1) return found;
    let steps = 0;
    return found.map((one) => (one.curve.role === "reference" ? one : { ...one, own: one.curve, curve: shifted(one.curve, look.offset * steps++, this.log("y")) }));
  }

  /** Each curve beside the one of its name in the first run, or its run's version before; which are not compared with themselves. */
  private compared(found: Drawn[]): Drawn[] {
    return found.flatMap(({ curve, label }) => {
      const mine = this.plots.findIndex((plot) => plot.curves.includes(curve)), place = this.mode === "versions" ? this.earlier[mine]! : 0;
      const others = place === mine ? [] : (this.plots[place]?.curves ?? []).filter((one) => one.role === "data");
      const base = others.find((one) => one.name === curve.name) ?? others[0];
      return base ? [{ curve: compare(curve, base, this.mode), label }] : [];
    });
  }

  private choice(name: string): string { return `${this.plots.length > 1 ? "several" : "one"} ${name}`; }
  private isChosen(name: string, place: number): boolean { return look.chosen.get(this.choice(name)) ?? (this.plots.length === 1 || place === 0); }

  private paintTools(): void {
    const again = (change: () => void) => () => { change(); this.draw(); };
    const box = (name: string, label: string, checked: boolean, change: (on: boolean) => void) => {
      const input = h("input", { type: "checkbox", name, checked, onchange: again(() => change(input.checked)) });
      return h("label", {}, input, ` ${label}`);
    };
    const log = (scale: "x" | "y") => box(`log ${scale}`, `log ${this.axes[scale].label}`, this.log(scale), (on) => look.logs.set(this.name(scale), on));
    const names = [...new Map(this.plots.flatMap((plot) => plot.curves.filter((curve) => curve.role === "data").map((curve, place): [string, number] => [curve.name, place])))];
    const chooser = this.plots.some((plot) => plot.curves.filter((curve) => curve.role === "data").length > 1)
      && h("span", { role: "group", "aria-label": "which curves", class: "bh-buttons" }, ...names.slice(0, MOST).map(([name, place]) => box(`curve ${name}`, name, this.isChosen(name, place), (on) => look.chosen.set(this.choice(name), on))),
        names.length > MOST && h("span", {}, `${MOST} of ${names.length} names are listed`));
    const focused = (this.tools.getRootNode() as Document).activeElement?.getAttribute("name");
    this.tools.replaceChildren(...[
      log("x"), log("y"), box("errors", "error bars", look.errors, (on) => { look.errors = on; }), ...this.comparing(again), chooser,
      h("span", { class: "bh-buttons" }, button("−", "zoom out", () => this.zoom(2)), button("+", "zoom in", () => this.zoom(0.5)), button("reset", "show the whole curves", () => this.reset())),
    ].filter((one): one is HTMLElement => Boolean(one)));
    if (focused) this.tools.querySelector<HTMLElement>(`[name="${CSS.escape(focused)}"]`)?.focus();
  }

  private comparing(again: (change: () => void) => () => void): HTMLElement[] {
    if (this.plots.length === 1) return [];
    const select = h("select", { name: "mode", onchange: again(() => { look.mode = select.value as Mode; }) },
      ...this.modes.map(([value, word]) => h("option", { value, selected: value === this.mode }, word)));
    const input = h("input", { type: "number", name: "offset", step: "any", class: "bh-limit", value: String(look.offset), onchange: again(() => { look.offset = Number(input.value) || 0; }) });
    return [h("label", {}, "rows ", select), ...(this.mode === "overlay" ? [h("label", {}, this.log("y") ? "each higher by 10^ " : "each higher by ", input)] : [])];
  }

  private select(u: uPlot): void {
    const { left, top, width, height } = u.select;
    if (width < 3 && height < 3) return;
    const keepRange = (scale: "x" | "y", low: number, high: number) => look.ranges.set(this.name(scale), [u.posToVal(low, scale), u.posToVal(high, scale)]);
    if (width < u.over.clientWidth) keepRange("x", left, left + width);
    if (height < u.over.clientHeight) keepRange("y", top + height, top);
    queueMicrotask(() => this.draw()); // not while the plot still handles its own event
  }

  /** Zooms along x about the middle, and moves by parts of what is seen. */
  private zoom(factor: number, by = 0): void {
    const { min, max } = this.plot?.scales.x ?? {}, log = this.log("x");
    if (min === undefined || max === undefined || min === null || max === null) return;
    const [low, high] = log ? [Math.log10(min), Math.log10(max)] : [min, max], half = (high - low) / 2, middle = low + half + by * 2 * half;
    const ends: Range = [middle - half * factor, middle + half * factor];
    look.ranges.set(this.name("x"), log ? [10 ** ends[0], 10 ** ends[1]] : ends);
    this.draw();
  }

  private reset(): void {
    look.ranges.delete(this.name("x"));
    look.ranges.delete(this.name("y"));
    this.draw();
  }

  /** What lies under the pointer, or where the keys led. */
  private tell(u: uPlot): void {
    const { left = -1, top = -1 } = u.cursor, { logs } = this, y = { ...this.axes.y, unit: this.mode === "ratio" ? "" : this.axes.y.unit };
    const seen = this.shown.filter((_, index) => u.series[index + 1]!.show !== false);
    this.read.textContent = left < 0 ? "" : told(seen, u.posToVal(left, "x"), u.posToVal(top, "y"), { x: this.axes.x, y }, logs);
  }

  private get logs(): { x: boolean; y: boolean } { return { x: this.log("x"), y: this.log("y") }; }

  /** Reads the middle of what is seen, aloud. */
  private middle(): void {
    this.read.setAttribute("aria-live", "polite");
    this.plot?.setCursor({ left: this.plot.over.clientWidth / 2, top: this.plot.over.clientHeight / 2 });
  }

  /** Reads the next point of the first curve that is seen. */
  private step(by: 1 | -1): void {
    const { plot, shown: [one] } = this, { left = -1 } = plot?.cursor ?? {}, { min, max } = plot?.scales.x ?? {};
    if (!plot || !one || min === undefined || max === undefined) return;
    if (left < 0) { this.middle(); return; }
    const { x, y } = one.curve, at = beside(one.curve, plot.posToVal(left, "x") + by * (max - min) * 1e-9, by, [min, max], this.logs);
    if (at >= 0) plot.setCursor({ left: plot.valToPos(x[at]!, "x"), top: plot.valToPos(y[at]!, "y") });
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const along = event.key === "ArrowLeft" ? -1 : event.key === "ArrowRight" ? 1 : 0;
    this.read.setAttribute("aria-live", "polite");
    if (along && event.shiftKey) this.step(along);
    else if (along) this.zoom(1, along * 0.1);
    else if (event.key === "+" || event.key === "=") this.zoom(0.8);
    else if (event.key === "-") this.zoom(1.25);
    else if (event.key === "0") this.reset();
    else return;
    event.preventDefault();
    keep(event);
  }
}

function unit(axis: Axis, label = axis.label): string {
  return axis.unit ? `${label} / ${axis.unit}` : label;
}

function spread(curve: Curve, values: (number | null)[], at: Map<number, number>, length: number, log: boolean): (number | null)[] {
  const out: (number | null)[] = new Array(length).fill(null);
  curve.x.forEach((x, index) => {
    const place = x === null ? undefined : at.get(x), value = values[index];
    if (place !== undefined && value !== null && value !== undefined && (!log || value > 0)) out[place] = value;
  });
  return out;
}

function drawErrors(u: uPlot, data: uPlot.AlignedData, errors: ((number | null)[] | null)[], log: boolean): void {
  errors.forEach((error, index) => {
    if (!error || u.series[index + 1]!.show === false) return;
    const y = data[index + 1]!, { ctx } = u, floor = u.scales.y!.min ?? 0;
    ctx.save();
    ctx.beginPath();
    ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
    ctx.clip();
    ctx.strokeStyle = (u.series[index + 1] as any)._stroke || "#888";
    ctx.globalAlpha = 0.5;
    ctx.beginPath();
    data[0].forEach((x, at) => {
      const value = y[at], half = error[at];
      if (value === null || value === undefined || !half) return;
      const left = u.valToPos(x, "x", true), low = log ? Math.max(value - half, floor || value / 10) : value - half;
      if (low <= 0 && log) return;
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
