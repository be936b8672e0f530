// Times as people read them, where whoever looks is.

// made once: toLocaleTimeString makes one for each cell, which took a third of the time that painting the table takes
const TIME = new Intl.DateTimeFormat([], { hour: "numeric", minute: "numeric", second: "numeric", hourCycle: "h23" });
const MINUTE = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const DAY_OF_YEAR = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const FULL = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "long" });

const NEAR_MS = 183 * 86_400_000; // half a year: what is nearer needs no year, also beyond its turn

/** Of today the time, else the day as well, of long ago the day alone. */
export function clock(time: string | null, now = Date.now()): string {
  if (!time) return "";
  const at = new Date(time), today = new Date(now);
  if (at.toDateString() === today.toDateString()) return TIME.format(at);
  const near = at.getFullYear() === today.getFullYear() || Math.abs(at.getTime() - now) < NEAR_MS;
  return near ? `${DAY.format(at)} ${MINUTE.format(at)}` : DAY_OF_YEAR.format(at);
}

/** With the day of the week and the zone. */
export function inFull(time: string): string { return FULL.format(new Date(time)); }

/** In how many milliseconds what is painted says something else: each second while something runs, else at midnight. */
export function stale(running: boolean, now: number): number {
  return running ? 1000 : new Date(now).setHours(24, 0, 0, 0) - now;
}
