// The images of the selected runs: one scale, one frame and one zoom for all of them, which stay from row to row.
import { button, h, keep } from "./dom.js";
import { exact } from "./readout.js";
import type { Run } from "./records.js";
import { first, left } from "./shown.js";
import { json, sentence, type Answer } from "./transport.js";
import type { Context } from "./view.js";

interface About { shape: [number, number]; frames: number; frame: number; pixel: number; scale: string; low: number; high: number; upwards: boolean; colours: string[] }
interface Shown { run: Run; figure: HTMLElement; lens: HTMLElement; img: HTMLImageElement; bar: HTMLElement; said: HTMLElement; read: HTMLElement; about: About | null; address: string }

const MOST = 6, TILE = 32, TILES = 256, DEEPEST = 64, LARGE = 512, SMALL = 256; // pictures, pixels, answers, times, pixels of the page
const SCALES = { "": "as the file says", linear: "linear", log: "logarithmic", sqrt: "square root" };
const COLOURS = { viridis: "viridis", cividis: "cividis", inferno: "inferno", greys: "greys" };
const look = { scale: "", low: "", high: "", colours: "viridis", frame: 0 };
const place = { zoom: 1, x: 0.5, y: 0.5 }; // the middle of what is seen, as parts of the picture's width and height

export async function imageTab(context: Context, body: HTMLElement, runs: Run[], focus: Run, signal: AbortSignal): Promise<void> {
  const having = runs.filter((run) => run.has.includes("file")), pictured = first(having, MOST, focus);
  const said = left("images", pictured.length, having.length, runs.length, context.selected().length);
  if (said && pictured.length) body.append(h("p", { class: "bh-note" }, said));
  if (!pictured.length) body.append(h("div", { class: "bh-empty" }, `${focus.file.name} has no picture`));
  else await new Screen(context, pictured, signal).show(body);
}

class Screen {
  private readonly shown: Shown[];
  private readonly frames = h("span", { class: "bh-frames", hidden: true });
  private readonly tiles = new Map<string, Promise<(number | null)[][]>>();
  private width: number;
  private loading: Promise<void> | null = null;
  private changed = false;
  private reads = 0;

  constructor(private readonly context: Context, runs: Run[], private readonly signal: AbortSignal) {
    this.width = runs.length > 1 ? 512 : 1024;
    this.shown = runs.map((run) => this.figure(run));
    signal.addEventListener("abort", () => this.shown.forEach((one) => URL.revokeObjectURL(one.address)));
  }

  async show(body: HTMLElement): Promise<void> {
    await this.load();
    const tools = h("div", { class: "bh-tools", role: "group", "aria-label": "how images are shown" },
      this.choice("scale", "scale", SCALES), this.limit("low", "low", "1 %"), this.limit("high", "high", "99 %"), this.choice("colours", "colours", COLOURS),
      this.frames, h("span", { class: "bh-buttons" }, button("−", "zoom out", () => this.zoom(0.5)), button("+", "zoom in", () => this.zoom(2)), button("reset", "show the whole image", () => this.reset())));
    body.append(tools, h("div", { class: "bh-images" }, ...this.shown.map((one) => one.figure)));
    this.place();
  }

  private figure(run: Run): Shown {
    const img = h("img", { draggable: false }), lens = h("div", { class: "bh-lens", tabindex: "0", role: "group" }, img);
    const bar = h("div", { class: "bh-colours" }), said = h("div", { class: "bh-note", hidden: true, role: "status" }), read = h("div", { class: "bh-read", "aria-live": "off" }); // spoken only where keys lead
    lens.setAttribute("aria-label", `image of ${run.file.name}: arrow keys move, + and − zoom, 0 shows all of it`);
    const one: Shown = { run, figure: h("figure", {}, h("figcaption", {}, run.file.name), lens, bar, read, said), lens, img, bar, said, read, about: null, address: "" };
    this.listen(one);
    return one;
  }

  private listen({ lens }: Shown): void {
    const at = (event: MouseEvent): [number, number] => { const box = lens.getBoundingClientRect(); return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]; };
    lens.addEventListener("wheel", (event) => {
      if (place.zoom === 1 && event.deltaY > 0) return; // the notebook scrolls on
      event.preventDefault();
      this.zoom(event.deltaY < 0 ? 1.25 : 0.8, ...at(event));
    }, { passive: false });
    lens.addEventListener("pointerdown", (event) => lens.setPointerCapture(event.pointerId));
    lens.addEventListener("pointermove", (event) => {
      if (event.buttons & 1) this.move(-event.movementX / lens.clientWidth, -event.movementY / lens.clientHeight);
      void this.read(...at(event), "");
    });
    lens.addEventListener("pointerleave", () => { this.reads++; this.shown.forEach((one) => { one.read.textContent = ""; }); });
    lens.addEventListener("dblclick", () => this.reset());
    lens.addEventListener("focus", () => void this.read(0.5, 0.5, "middle: "));
    lens.addEventListener("keydown", (event) => this.key(event));
  }

  private key(event: KeyboardEvent): void {
    const moves: Record<string, [number, number]> = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
    const step = moves[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (step) this.move(...step);
    else if (event.key === "+" || event.key === "=") this.zoom(1.25);
    else if (event.key === "-") this.zoom(0.8);
    else if (event.key === "0") this.reset();
    else return;
    event.preventDefault();
    keep(event);
    void this.read(0.5, 0.5, "middle: ");
  }

  /** Zooms about a point of the lens that stays where it is. */
  private zoom(factor: number, x = 0.5, y = 0.5): void {
    const before = place.zoom;
    place.zoom = Math.min(DEEPEST, Math.max(1, before * factor));
    place.x += (x - 0.5) * (1 / before - 1 / place.zoom);
    place.y += (y - 0.5) * (1 / before - 1 / place.zoom);
    this.place();
    if (place.zoom > 2 && this.width < 2048 && this.shown.some((one) => one.about && one.about.pixel > 1)) {
      this.width = 2048;
      void this.load();
    }
  }

  /** Moves by parts of what is seen. */
  private move(x: number, y: number): void {
    place.x += x / place.zoom;
    place.y += y / place.zoom;
    this.place();
  }

  private reset(): void {
    Object.assign(place, { zoom: 1, x: 0.5, y: 0.5 });
    this.place();
  }

  private place(): void {
    const half = 0.5 / place.zoom;
    place.x = Math.min(1 - half, Math.max(half, place.x));
    place.y = Math.min(1 - half, Math.max(half, place.y));
    for (const { lens, img } of this.shown) {
      lens.style.touchAction = place.zoom > 1 ? "none" : "auto";
      img.style.transform = `scale(${place.zoom}) translate(${(half - place.x) * 100}%, ${(half - place.y) * 100}%)`;
    }
  }

  /** One at a time: a slider that is drawn asks for the last of its places, not for all. */
  private load(): Promise<void> {
    this.changed = true;
    return this.loading ??= (async () => {
      try {
        while (this.changed && !this.signal.aborted) {
          this.changed = false;
          await Promise.all(this.shown.map((one) => this.fetch(one)));
        }
      } finally { this.loading = null; }
      this.paintFrames();
    })();
  }

  private async fetch(one: Shown): Promise<void> {
    const query = new URLSearchParams({ width: String(this.width), frame: String(look.frame), colours: look.colours });
    for (const name of ["scale", "low", "high"] as const) if (look[name]) query.set(name, look[name]);
    const send = (what: string, asked?: URLSearchParams) => this.context.transport.send("GET", `v1/results/${one.run.id}/${what}`, asked);
    let answer = await send("image", query), said = "";
    one.about = answer.status === 200 && answer.about ? JSON.parse(answer.about) : null;
    if (answer.status !== 200) said = sentence(answer);
    if (answer.status === 404 && one.run.has.includes("preview")) answer = await send("preview.png");
    if (!this.signal.aborted) await this.paint(one, answer, said);
  }

  private async paint(one: Shown, answer: Answer, said: string): Promise<void> {
    const { img, lens, bar, about } = one, good = answer.status === 200;
    one.said.textContent = said;
    one.said.hidden = !said;
    one.said.classList.toggle("bh-error", !good);
    if (!good) return;
    URL.revokeObjectURL(one.address);
    img.src = one.address = URL.createObjectURL(new Blob([answer.body as BlobPart], { type: "image/png" }));
    await img.decode().catch(() => undefined);
    const box = this.shown.length > 1 ? SMALL : LARGE, ratio = img.naturalWidth / (img.naturalHeight || 1) || 1;
    lens.style.width = `${Math.round(box * Math.min(1, ratio))}px`;
    lens.style.aspectRatio = String(ratio);
    img.alt = `picture of ${one.run.file.name}, ${one.run.title}`;
    bar.replaceChildren();
    if (!about) return;
    const [low, high] = [exact(about.low), exact(about.high)], scale = SCALES[about.scale as keyof typeof SCALES];
    img.alt += `: ${about.shape.join(" by ")} pixels${about.frames > 1 ? `, frame ${about.frame} of 0 to ${about.frames - 1}` : ""}, ${look.colours} from ${low} to ${high}, ${scale}`;
    bar.append(h("span", {}, low), h("span", { class: "bh-gradient", style: `background: linear-gradient(90deg, ${about.colours.join(", ")})` }), h("span", {}, `${high} ${scale}`));
  }

  /** What lies under a point of the lens, in each picture. */
  private async read(x: number, y: number, where: string): Promise<void> {
    const number = ++this.reads, u = place.x + (x - 0.5) / place.zoom, v = place.y + (y - 0.5) / place.zoom;
    if (u < 0 || v < 0 || u >= 1 || v >= 1) return;
    await Promise.all(this.shown.map(async ({ about, img, run, read }) => {
      if (!about) return;
      const column = Math.min(about.shape[1] - 1, Math.floor(u * img.naturalWidth * about.pixel));
      const row = Math.min(about.shape[0] - 1, Math.floor((about.upwards ? 1 - v : v) * img.naturalHeight * about.pixel));
      const tile = await this.tile(run.id, about.frame, column - (column % TILE), row - (row % TILE));
      const value = tile?.[row % TILE]?.[column % TILE];
      read.setAttribute("aria-live", where ? "polite" : "off");
      if (number === this.reads && tile) read.textContent = `${where}x ${column}, y ${row}: ${value === null || value === undefined ? "no value" : exact(value)}`;
    }));
  }

  private tile(id: number, frame: number, x: number, y: number): Promise<(number | null)[][] | undefined> {
    const query = new URLSearchParams({ frame: String(frame), x: String(x), y: String(y), size: String(TILE) }), key = `${id}?${query}`;
    if (this.tiles.size > TILES) this.tiles.clear();
    const known = this.tiles.get(key) ?? json<{ values: (number | null)[][] }>(this.context.transport, "GET", `v1/results/${id}/pixels`, query).then((told) => told.values);
    this.tiles.set(key, known);
    return known.catch(() => { this.tiles.delete(key); return undefined; });
  }

  private choice(name: "scale" | "colours", label: string, words: Record<string, string>): HTMLElement {
    const select = h("select", { name, onchange: () => { look[name] = select.value; void this.load(); } },
      ...Object.entries(words).map(([value, word]) => h("option", { value, selected: value === look[name] }, word)));
    return h("label", {}, `${label} `, select);
  }

  private limit(name: "low" | "high", label: string, usual: string): HTMLElement {
    const input = h("input", { name, type: "number", step: "any", value: look[name], placeholder: usual, class: "bh-limit", onchange: () => { look[name] = input.value; void this.load(); } });
    return h("label", {}, `${label} `, input);
  }

  private paintFrames(): void {
    const most = Math.max(...this.shown.map((one) => one.about?.frames ?? 1)) - 1;
    this.frames.hidden = most < 1;
    if (most < 1) return;
    const inputs = [...this.frames.querySelectorAll("input")];
    if (inputs[0]?.max === String(most)) return;
    const change = (event: Event) => {
      look.frame = Math.min(most, Math.max(0, Math.round(Number((event.target as HTMLInputElement).value)) || 0));
      this.frames.querySelectorAll("input").forEach((input) => { input.value = String(look.frame); });
      void this.load();
    };
    const input = (type: string, name: string, label: string) => h("input", { type, name, min: "0", max: String(most), step: "1", value: String(Math.min(look.frame, most)), "aria-label": label, oninput: type === "range" ? change : undefined, onchange: type === "number" ? change : undefined });
    this.frames.replaceChildren("frame ", input("range", "frame", "frame"), input("number", "frame-number", "number of the frame"), ` of 0 to ${most}`);
  }
}
