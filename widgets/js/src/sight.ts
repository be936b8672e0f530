// Which rows of how many are in sight, and where they lie: pixels, from the top of all that can be scrolled.

export const ROW = 26; // of a row's height
// Taller elements are not laid out, beyond them scrolling is scaled: Firefox counts sixtieths of a pixel in 30 bits,
// Chromium 64ths of a pixel of the screen in 31, and moves what is scrolled in numbers of 24.
const TALLEST = 16_000_000, TALLEST_ON_SCREEN = 32_000_000;
const MORE = 3; // rows that are painted above and below those in sight
const BLOCK = 200; // rows that keep the place where they were laid out and painted while the table is scrolled
export const SPAN = (BLOCK + 100) * ROW; // of an element that holds such a block and what is in sight below it

export interface Sight {
  first: number; last: number; // rows that are painted: from, and up to
  origin: number; // the row that the others' places count from
  shift: number; // where that row is
}

/** How many pixels of rows a pixel of scrolling is. */
function scaleOf(total: number, visible: number): number {
  const height = heightOf(total);
  return total * ROW > height ? (total * ROW - visible) / (height - visible) : 1;
}

/** How much there is to scroll. */
export function heightOf(total: number): number {
  return Math.min(total * ROW, TALLEST, Math.floor(TALLEST_ON_SCREEN / (globalThis.devicePixelRatio ?? 1)));
}

export function sight(total: number, scrolled: number, visible: number): Sight {
  const scale = scaleOf(total, visible), first = Math.max(0, Math.floor((scrolled * scale) / ROW) - MORE), origin = first - (first % BLOCK);
  return {
    first, last: Math.min(total, first + Math.ceil(visible / ROW) + 2 * MORE),
    origin, shift: Math.round(scrolled * (1 - scale) + origin * ROW),
  };
}

/** How far to scroll by so many rows. */
export function pixels(rows: number, total: number, visible: number): number {
  return (rows * ROW) / scaleOf(total, visible);
}

/** The first row that is wholly in sight. */
export function firstWhole(total: number, scrolled: number, visible: number): number {
  return Math.ceil((scrolled * scaleOf(total, visible)) / ROW);
}

/** How far to scroll, and no further, so that a row is in sight. */
export function scrolledTo(row: number, total: number, scrolled: number, visible: number): number {
  const scale = scaleOf(total, visible), top = scrolled * scale;
  if (row * ROW < top) return Math.floor((row * ROW) / scale);
  if ((row + 1) * ROW > top + visible) return Math.ceil(((row + 1) * ROW - visible) / scale);
  return scrolled;
}
