// Curves beside a first one: their difference to it or ratio of it, on its axis, and shifted copies.
import type { Curve } from "./records.js";

export type Mode = "overlay" | "difference" | "ratio" | "versions"; // the last: the difference of each to its version before
interface Point { y: number; error: number }

/** A curve minus the first, or divided by it, at the first one's x; errors are those of independent measurements, none where one has none. */
export function compare(curve: Curve, first: Curve, mode: Mode): Curve {
  const at = interpolator(curve), known = curve.error !== null && first.error !== null;
  const points = first.x.map((x, index): Point | null => {
    const base = first.y[index], point = x === null ? null : at(x);
    if (!point || base === null || base === undefined || (mode === "ratio" && base === 0)) return null;
    const error = first.error?.[index] ?? NaN;
    if (mode !== "ratio") return { y: point.y - base, error: Math.hypot(point.error, error) };
    const y = point.y / base;
    return { y, error: Math.hypot(point.error, y * error) / Math.abs(base) };
  });
  return { ...curve, x: first.x, y: points.map((one) => one && one.y), error: known ? points.map((one) => (one && Number.isFinite(one.error) ? one.error : null)) : null };
}

/** A curve so many steps above its place: added to it, on a logarithmic axis powers of ten. */
export function shifted(curve: Curve, steps: number, log: boolean): Curve {
  const factor = log ? 10 ** steps : 1, more = log ? 0 : steps;
  return { ...curve, y: curve.y.map((y) => (y === null ? null : y * factor + more)), error: curve.error?.map((error) => (error === null ? null : error * factor)) ?? null };
}

/** Linear between two neighbours, nothing beyond the ends; the error is that of the weighted mean. */
function interpolator(curve: Curve): (x: number) => Point | null {
  const points = curve.x.map((x, index) => ({ x, y: curve.y[index], error: curve.error?.[index] ?? NaN }))
    .filter((one): one is { x: number } & Point => one.x !== null && one.y !== null && one.y !== undefined).sort((a, b) => a.x - b.x);
  return (x) => {
    let low = 0, high = points.length; // of points[low - 1].x < x <= points[low].x
    while (low < high) {
      const middle = (low + high) >> 1;
      if (points[middle]!.x < x) low = middle + 1;
      else high = middle;
    }
    const right = points[low], left = points[low - 1];
    if (right?.x === x) return right;
    if (!left || !right) return null;
    const part = (x - left.x) / (right.x - left.x);
    return { y: (1 - part) * left.y + part * right.y, error: Math.hypot((1 - part) * left.error, part * right.error) };
  };
}
