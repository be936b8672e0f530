// Runs of the same file, rule and function: which one came before another, what differs, and what they are called.
import type { Run } from "./records.js";

/** The last of those that were asked for before a run, of the same rule and function and the file at the same path. */
export function before(run: Run, runs: Run[]): Run | undefined {
  return runs.filter((one) => isVersion(one, run) && one.id < run.id).reduce<Run | undefined>((last, one) => (last && last.id > one.id ? last : one), undefined);
}

/** "direction: 160 → 30"; what a run does not name is the function's own. */
export function changes(old: Run, now: Run): string[] {
  const names = [...new Set([...Object.keys(old.parameters), ...Object.keys(now.parameters)])];
  const version = old.version === now.version ? [] : [`version: ${old.version || "unknown"} → ${now.version || "unknown"}`];
  return [...names.filter((name) => value(old, name) !== value(now, name)).map((name) => `${name}: ${value(old, name)} → ${value(now, name)}`), ...version];
}

/** Of each run its file's name, and where others have the same what tells it apart. */
export function titles(runs: Run[]): string[] {
  return runs.map((run) => {
    const same = runs.filter((one) => one.file.name === run.file.name);
    if (same.length === 1) return run.file.name;
    const differs = Object.keys(run.parameters).filter((name) => same.some((one) => value(one, name) !== value(run, name)));
    const newest = before(run, runs) !== undefined && !runs.some((one) => isVersion(one, run) && one.id > run.id);
    return `${run.file.name} (run ${run.id}${newest ? ", the newest" : ""}${differs.map((name) => `, ${name} ${value(run, name)}`).join("")})`;
  });
}

function isVersion(one: Run, other: Run): boolean {
  return one.rule === other.rule && one.function === other.function && one.file.path === other.file.path && one.file.storage === other.file.storage && one.proposal === other.proposal;
}

function value(run: Run, name: string): string { return JSON.stringify(run.parameters[name]) ?? "the function's own"; }
