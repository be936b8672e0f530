// The scan that a run's file belongs to: the folder that it lies in.
import type { Run } from "./records.js";

/** The folder's name; empty where the file lies in its proposal's folder or in none. */
export function scanOf(run: Pick<Run, "proposal"> & { file: Pick<Run["file"], "path"> }): string {
  const folder = run.file.path.split("/").at(-2) ?? "";
  return folder === run.proposal ? "" : folder;
}

/** Whether rows in this order stand scan by scan, so that a rule between scans says something. */
export function groups(sort: string): boolean {
  return /^-?(queued|started|finished|file)$/.test(sort);
}
