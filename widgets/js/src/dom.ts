// Making elements; data is only ever text, never markup.

type Child = Node | string | null | undefined | false;

export function h<Name extends keyof HTMLElementTagNameMap>(
  name: Name, properties: Record<string, unknown> = {}, ...children: Child[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value as EventListener);
    else if (key === "class") element.className = value as string;
    else if (key in element && !key.includes("-") && key !== "list" && key !== "role") (element as any)[key] = value;
    else element.setAttribute(key, String(value));
  }
  element.append(...children.filter((child): child is Node | string => Boolean(child)));
  return element;
}

/** A button of a tool bar: a sign, and what it does in words. */
export function button(sign: string, label: string, click: () => void): HTMLElement {
  return h("button", { type: "button", name: label, "aria-label": label, title: label, onclick: click }, sign);
}

/** Keeps plain keys from the notebook's shortcuts; with Ctrl or the like they are meant for it (save, …). */
export function keep(event: KeyboardEvent): void {
  if (!event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
}

export function number(value: number): string {
  if (value !== 0 && (Math.abs(value) >= 1e12 || Math.abs(value) < 1e-3)) return value.toExponential(2);
  if (Math.abs(value) >= 1e5) return value.toLocaleString("en", { notation: "compact", maximumSignificantDigits: 4 });
  return String(Number(value.toPrecision(Math.abs(value) < 1 ? 3 : 4)));
}

export function duration(seconds: number): string {
  if (seconds < 1) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 90) return `${seconds < 10 ? Number(seconds.toFixed(1)) : Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

/** A curve without axes, as wide as a cell. */
export function sparkline(values: (number | null)[]): SVGElement {
  const NS = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(NS, "svg");
  svg.setAttribute("viewBox", "0 0 60 16");
  svg.setAttribute("class", "bh-spark");
  svg.setAttribute("aria-hidden", "true");
  const seen = values.filter((value): value is number => value !== null);
  if (seen.length < 2) return svg;
  const low = Math.min(...seen), range = Math.max(...seen) - low || 1, step = 60 / (values.length - 1);
  let path = "", pen = "M";
  values.forEach((value, index) => {
    if (value === null) { pen = "M"; return; }
    path += `${pen}${(index * step).toFixed(1)} ${(15 - (14 * (value - low)) / range).toFixed(1)}`;
    pen = "L";
  });
  const line = document.createElementNS(NS, "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}
