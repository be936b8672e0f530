// The scan that a run's file belongs to: the folder that it lies in.
import type { Run } from "./records.js";

type OfScan = Pick<Run, "proposal"> & { file: Pick<Run["file"], "path"> };

/** The folder's name; empty where the file lies in its proposal's folder or in none. */
export function scanOf(run: OfScan): string {
  const folder = run.file.path.split("/").at(-2) ?? "";
  return folder === run.proposal ? "" : folder;
}

/** Whether rows in this order stand scan by scan, so that a rule between scans says something. */
export function groups(sort: string): boolean {
  return /^-?(queued|started|finished|file)$/.test(sort);
}

const MOST = 1000; // rows that are counted

/** How many rows of a scan stand together from its first one on: "13", or "100+" where the next is not loaded. */
export function together(first: number, total: number, row: (index: number) => OfScan | undefined): string {
  const scan = scanOf(row(first)!);
  let next = first;
  for (let run = row(next); run && scanOf(run) === scan && next - first < MOST;) run = row(++next);
  return `${next - first}${next < total && (!row(next) || next - first === MOST) ? "+" : ""}`;
}
