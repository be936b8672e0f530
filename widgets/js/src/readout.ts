// What is read of curves at an x: of each its nearest point, with its error and units.
import type { Axis, Curve } from "./records.js";

const FEW = 4; // curves that are told of in one line
const FIGURES = 6;

/** A curve as it is drawn, and, where it is drawn elsewhere than it was measured, as it was. */
export interface Drawn { curve: Curve; label: string; own?: Curve }
interface Logs { x: boolean; y: boolean }
interface Point { label: string; x: number; y: number; error: number | null; away: number }

/** One line: x, and what is measured there; of many curves those that are drawn nearest to `height`. */
export function told(drawn: Drawn[], x: number, height: number, axes: { x: Axis; y: Axis }, log: Logs): string {
  const points = drawn.flatMap((one) => point(one, x, height, log)), away = points.map((one) => one.away).sort((a, b) => a - b);
  const few = points.filter((one) => one.away <= (away[FEW - 1] ?? Infinity)).slice(0, FEW), [first] = few;
  if (!first) return "";
  const of = (text: string, unit: string) => (unit ? `${text} ${unit}` : text);
  const each = few.map((one) => `${one.label}: ${of(measured(one.y, one.error), axes.y.unit)}${one.x === first.x ? "" : ` at ${exact(one.x)}`}`);
  if (points.length > few.length) each.push(`${points.length - few.length} more further away`);
  return [`${axes.x.label} = ${of(exact(first.x), axes.x.unit)}`, ...each].join("; ");
}

/** The index of the point of a curve beside an x, within a range; -1 at the end. */
export function beside(curve: Curve, x: number, step: 1 | -1, [low, high]: [number, number], log: Logs): number {
  const further = [...curve.x.keys()].filter((at) => isDrawn(curve, at, log) && curve.x[at]! >= low && curve.x[at]! <= high && (curve.x[at]! - x) * step > 0);
  return further.reduce((best, at) => (best < 0 || (curve.x[at]! - curve.x[best]!) * step < 0 ? at : best), -1);
}

/** A value with as many places as its error has in two figures. */
export function measured(value: number, error: number | null): string {
  if (error === null || !Number.isFinite(error)) return exact(value);
  if (error <= 0) return `${exact(value)} ± ${exact(error)}`;
  const size = Math.floor(Math.log10(Math.max(Math.abs(value), error))), last = Math.floor(Math.log10(error)) - 1;
  const far = size >= FIGURES || size < -3, places = Math.min(12, Math.max(0, (far ? size : 0) - last));
  const text = [value, error].map((one) => (far ? one / 10 ** size : one).toFixed(places)).join(" ± ");
  return far ? `(${text})e${size}` : text;
}

export function exact(value: number): string {
  return Number.isInteger(value) && Math.abs(value) < 1e15 ? String(value) : String(Number(value.toPrecision(FIGURES)));
}

/** The point of a curve that is nearest along x, on a logarithmic axis by ratio. */
function point({ curve, label, own = curve }: Drawn, x: number, height: number, log: Logs): Point[] {
  let at = -1, least = Infinity;
  curve.x.forEach((one, index) => {
    if (!isDrawn(curve, index, log)) return;
    const away = apart(one!, x, log.x);
    if (away < least) [at, least] = [index, away];
  });
  return at < 0 ? [] : [{ label, x: own.x[at]!, y: own.y[at]!, error: own.error?.[at] ?? null, away: apart(curve.y[at]!, height, log.y) }];
}

function isDrawn({ x, y }: Curve, at: number, log: Logs): boolean {
  return (x[at] ?? null) !== null && (y[at] ?? null) !== null && !(log.x && x[at]! <= 0) && !(log.y && y[at]! <= 0);
}

function apart(a: number, b: number, log: boolean): number { return Math.abs(log ? Math.log(a / b) : a - b); }
