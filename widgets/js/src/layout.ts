// How somebody wants the table of a proposal: which columns, in which order, how wide; how high. Only what was chosen stands in it.

export interface Layout { shown: Record<string, boolean>; order: string[]; pinned: string[]; widths: Record<string, number>; height?: number }

export const NARROWEST = 36, WIDEST = 1000, LOWEST = 130, HIGHEST = 3000; // pixels
const MOST = 500; // columns that are remembered
const LONGEST = 300; // characters of a column's key

/** What was stored; what is not as we store it counts as nothing. */
export function parse(stored: string | null): Layout {
  let read: any;
  try { read = JSON.parse(stored ?? "{}"); } catch { read = {}; }
  return {
    shown: pairs(read?.shown, (value) => typeof value === "boolean"), order: keys(read?.order), pinned: keys(read?.pinned),
    widths: pairs(read?.widths, (value) => Number.isFinite(value) && value >= NARROWEST && value <= WIDEST),
    height: read?.height >= LOWEST && read.height <= HIGHEST ? Number(read.height) : undefined,
  };
}

function isKey(key: unknown): boolean {
  return typeof key === "string" && key !== "" && key.length <= LONGEST;
}

function keys(value: unknown): string[] {
  return Array.isArray(value) ? [...new Set(value.filter(isKey))].slice(0, MOST) : [];
}

function pairs<Value>(value: unknown, good: (value: any) => boolean): Record<string, Value> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return {};
  return Object.fromEntries(Object.entries(value).filter(([key, each]) => isKey(key) && good(each)).slice(0, MOST));
}

/** All columns in the chosen order, pinned ones first; one that is in no order stands behind its usual neighbour. */
export function arrange<Column extends { key: string }>(usual: Column[], layout: Layout): Column[] {
  const known = new Map(usual.map((column) => [column.key, column]));
  const order = layout.order.filter((key) => known.has(key)), placed = new Set(order);
  usual.forEach(({ key }, index) => {
    if (!placed.has(key)) order.splice(index ? order.indexOf(usual[index - 1]!.key) + 1 : 0, 0, key);
  });
  const pinned = order.filter((key) => layout.pinned.includes(key)), free = order.filter((key) => !layout.pinned.includes(key));
  return [...pinned, ...free].map((key) => known.get(key)!);
}

/** The keys after one of them moved to the place of its next neighbour that is shown, within pinned or other ones. */
export function moved(keys: string[], key: string, step: 1 | -1, shown: (key: string) => boolean, pinned: string[]): string[] {
  const beside = keys.filter((each) => shown(each) && pinned.includes(each) === pinned.includes(key));
  const neighbour = beside[beside.indexOf(key) + step];
  if (neighbour === undefined) return keys;
  const order = keys.filter((each) => each !== key);
  order.splice(order.indexOf(neighbour) + (step > 0 ? 1 : 0), 0, key);
  return order;
}
