// Run again: a form from the function's parameters, a count before it starts, and progress.
import { duration, h } from "./dom.js";
import type { FunctionRecord, Page, Run, Schema } from "./records.js";
import { json } from "./transport.js";
import type { Context } from "./view.js";

export async function againTab(context: Context, body: HTMLElement, runs: Run[], focus: Run, signal: AbortSignal): Promise<void> {
  const functions = (await json<{ items: FunctionRecord[] }>(context.transport, "GET", "v1/functions")).items;
  const chosen = functions.find((one) => one.name === focus.function);
  if (signal.aborted) return;
  if (!chosen) {
    body.append(h("div", { class: "bh-empty" }, `the function ${focus.function} is not there any more`));
    return;
  }
  const same = runs.filter((run) => run.function === chosen.name);
  const fields = Object.entries(chosen.parameters.properties ?? {}).filter(([, schema]) => !isPath(schema)).map(([name, schema]) => field(name, schema, focus.parameters[name]));
  const count = h("p", { class: "bh-note", role: "status" }, "counting …");
  const start = h("button", { type: "submit", class: "bh-primary" }, `Run ${same.length} again`);
  const key = crypto.randomUUID();
  const form = h("form", {
    class: "bh-form", onsubmit: (event: Event) => { event.preventDefault(); void submit(); },
  }, h("p", {}, chosen.description.split("\n")[0] || chosen.title), ...fields.map((one) => one.element), count, start);
  if (chosen.mistake) form.prepend(h("div", { class: "bh-note bh-error" }, `A newer version of this function is not in force: ${chosen.mistake}`));
  body.append(form);
  const ids = same.map((run) => run.id);
  const ask = (dry: boolean) => {
    const parameters: Record<string, unknown> = {};
    for (const one of fields) { const value = one.value(); if (value !== undefined) parameters[one.name] = value; }
    return json<any>(context.transport, "POST", "v1/runs", undefined, { ids, parameters, ...(dry ? { dry_run: true } : {}) }, { "Idempotency-Key": key });
  };
  void ask(true).then(({ count: n, seconds }) => {
    const left = runs.length - same.length;
    count.textContent = `${n} ${n === 1 ? "run" : "runs"} of ${chosen.title}${seconds === null ? "" : `, about ${duration(seconds)}`}${left ? `; ${left} selected of other functions are left out` : ""}`;
  }, (error: Error) => { count.textContent = error.message; count.classList.add("bh-error"); });
  async function submit(): Promise<void> {
    if (fields.some((one) => !one.check())) return;
    start.disabled = true;
    try {
      const made = (await ask(false)) as Page<Run>;
      count.classList.remove("bh-error");
      await progress(context, made.items.map((run) => run.id), count, signal);
    } catch (error) {
      const message = (error as Error).message, at = fields.find((one) => message.startsWith(`parameters.${one.name}:`));
      if (at) at.complain(message.split(": ").slice(1).join(": "));
      else { count.textContent = message; count.classList.add("bh-error"); }
      start.disabled = false;
    }
  }
}

/** Ask once a second how far the new runs are, until all have ended. */
async function progress(context: Context, ids: number[], line: HTMLElement, signal: AbortSignal): Promise<void> {
  for (;;) {
    const query = new URLSearchParams({ proposal: context.proposal(), ids: ids.join(","), limit: "500" });
    const runs = (await json<Page<Run>>(context.transport, "GET", "v1/runs", query)).items;
    const ended = runs.filter((run) => run.finished).length, failed = runs.filter((run) => run.state === "failed").length;
    line.textContent = `${ended} of ${ids.length} ended${failed ? `, ${failed} failed` : ""}; the new versions stand in the table`;
    if (ended >= ids.length || signal.aborted) return;
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

interface Field { name: string; element: HTMLElement; value(): unknown; check(): boolean; complain(message: string): void }

function field(name: string, schema: Schema, last: unknown): Field {
  const value = last ?? schema.default, id = `bh-${crypto.randomUUID()}`;
  const choices = schema.enum ?? (schema.anyOf?.every((one) => "const" in one) ? schema.anyOf.map((one) => one.const) : undefined);
  const error = h("span", { class: "bh-field-error", role: "alert", id: `${id}-error` });
  const whole = schema.type === "integer", numeric = whole || schema.type === "number";
  let input: HTMLInputElement | HTMLSelectElement;
  if (choices) input = h("select", { id }, ...choices.map((choice) => h("option", { value: JSON.stringify(choice), selected: choice === value }, String(choice))));
  else if (schema.type === "boolean") input = h("input", { id, type: "checkbox", checked: value === true });
  else {
    input = h("input", { id, type: numeric ? "number" : "text", value: value === undefined || value === null ? "" : String(value), required: value === undefined });
    if (numeric) {
      input.setAttribute("step", whole ? "1" : "any");
      if (schema.minimum !== undefined) input.setAttribute("min", String(schema.minimum));
      if (schema.maximum !== undefined) input.setAttribute("max", String(schema.maximum));
    }
  }
  input.setAttribute("aria-describedby", `${id}-error`);
  const range = numeric && (schema.minimum !== undefined || schema.maximum !== undefined) ? ` (${schema.minimum ?? ""} to ${schema.exclusiveMaximum !== undefined ? `below ${schema.exclusiveMaximum}` : schema.maximum ?? ""})` : "";
  const complain = (message: string) => { error.textContent = message; input.setAttribute("aria-invalid", String(Boolean(message))); if (message) input.focus(); };
  return {
    name, complain,
    element: h("div", { class: "bh-field" }, h("label", { for: id }, name), input, error, h("small", {}, `${schema.description ?? ""}${range}`)),
    value: () => {
      if (choices) return JSON.parse(input.value);
      if (schema.type === "boolean") return (input as HTMLInputElement).checked;
      if (input.value === "") return undefined;
      return numeric ? Number(input.value) : input.value;
    },
    check: () => { complain(input.validationMessage); return input.validity.valid; },
  };
}

function isPath(schema: Schema): boolean {
  return JSON.stringify(schema).includes('"format":"path"') || JSON.stringify(schema).includes('"format":"file-path"');
}
