// What runs and waits, in words.
import { duration } from "./dom.js";
import type { Queue } from "./rows.js";

/** "12 running, 340 waiting, about 4 min"; empty where nothing runs or waits. */
export function outlook({ states, held, seconds }: Queue): string {
  const running = states.running ?? 0, waiting = (states.queued ?? 0) - held;
  const parts = [[running, "running"], [waiting, "waiting"], [held, "held back by a paused rule"]] as const;
  const told = parts.filter(([number]) => number > 0).map(([number, word]) => `${number.toLocaleString("en")} ${word}`);
  if (told.length && seconds !== null) told.push(seconds < 60 ? "less than a minute" : `about ${duration(seconds)}`);
  return told.join(", ");
}
