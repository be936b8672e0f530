// How many runs are to be done again and how long that takes, in words.
import { duration } from "./dom.js";

/** `seconds` until they have ended, what waits before them included; null where that is not known. */
export interface Extent { count: number; seconds: number | null }

const MANY = 1000; // runs; above it is asked once more

export function isMany({ count }: Extent): boolean { return count > MANY; }

export function inWords({ count, seconds }: Extent, title: string): string {
  return `${count.toLocaleString("en")} ${count === 1 ? "run" : "runs"} of ${title}${seconds === null ? "" : `, done in about ${duration(seconds)}`}`;
}

export function question({ count, seconds }: Extent): string {
  return `Run ${count.toLocaleString("en")} again${seconds === null ? "" : `, about ${duration(seconds)}`}?`;
}
