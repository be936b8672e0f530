// The records of the service's API that the page reads.

export interface Scalar { value: number | null; unit: string; reason: string }
export interface RunError { kind: string; type: string; message: string; traceback: string[] }
export type State = "queued" | "running" | "done" | "failed" | "cancelled";

export interface Run {
  id: number; seq: number; proposal: string; state: State; cause: string;
  file: { id: number; name: string; path: string; storage: string; size: number; time: string };
  rule: string | null; function: string; title: string; mistake: string; version: string; digest: string;
  parameters: Record<string, unknown>; attempts: number; quarantined: boolean;
  queued: string; started: string | null; finished: string | null; next_try: string | null;
  executor: string; where: string; requested_by: string; late_s: number | null; error: RunError | null;
  columns: Record<string, string | number | null>; scalars: Record<string, Scalar>;
  sparkline: (number | null)[] | null; has: string[]; output: string; log_tail: string; explanation?: string[];
}

export interface Page<Item> { items: Item[]; after: string | null; before: string | null; seq: number }
export interface Proposal { name: string; title: string; files: number; runs: number; last: string | null }
export interface Axis { label: string; unit: string; log: boolean }
export interface Curve { name: string; x: (number | null)[]; y: (number | null)[]; error: (number | null)[] | null; role: "data" | "reference" }
export interface Plot { title: string; x: Axis; y: Axis; curves: Curve[] }

export interface Schema {
  type?: string; title?: string; description?: string; default?: unknown; enum?: unknown[]; const?: unknown; format?: string;
  minimum?: number; maximum?: number; exclusiveMinimum?: number; exclusiveMaximum?: number; anyOf?: Schema[];
  properties?: Record<string, Schema>; required?: string[];
}

export interface FunctionRecord {
  name: string; title: string; version: string; description: string; parameters: Schema; mistake: string;
}
