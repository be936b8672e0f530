// Run again: for which runs, with what; a count before it starts, and how far it is.
import { Batch, type Changed } from "./batch.js";
import { h } from "./dom.js";
import { inWords, isMany, question, type Extent } from "./extent.js";
import type { FunctionRecord, Page, Run, Schema } from "./records.js";
import { query } from "./rows.js";
import { json } from "./transport.js";
import type { Context } from "./view.js";

type Filter = Record<string, unknown>;
interface Choice { label: string; filter: Filter | null }

let last: Batch | null = null; // what was asked for last in this table; it goes on while other rows are looked at

export async function againTab(context: Context, body: HTMLElement, runs: Run[], focus: Run, signal: AbortSignal): Promise<void> {
  const functions = (await json<{ items: FunctionRecord[] }>(context.transport, "GET", "v1/functions")).items;
  const chosen = functions.find((one) => one.name === focus.function) ?? (await instead(context, focus, functions));
  if (signal.aborted) return;
  if (chosen) body.append(new Again(context, runs, focus, chosen, signal).form);
  else body.append(h("div", { class: "bh-empty" }, `the function ${focus.function} is not there any more`));
  if (last) { body.append(last.element); void last.follow(signal); }
}

/** The function that the run's rule names by now, where its own is not there. */
async function instead(context: Context, focus: Run, functions: FunctionRecord[]): Promise<FunctionRecord | undefined> {
  const rules = (await json<{ items: { name: string; function: string }[] }>(context.transport, "GET", "v1/rules")).items;
  const name = rules.find((one) => one.name === focus.rule)?.function;
  return functions.find((one) => one.name === name);
}

class Again {
  readonly form: HTMLFormElement;
  private readonly fields: Field[];
  private readonly count = h("p", { class: "bh-note", role: "status" });
  private readonly start = h("button", { type: "submit", class: "bh-primary", disabled: true }, "Run again");
  private readonly sure = h("div", { class: "bh-tools", role: "group", hidden: true });
  private readonly keys = new Map<string, string>(); // the same request has the same key, however often it is sent
  private filter: Filter;
  private asking = 0;
  private known: Extent | null = null;

  constructor(private readonly context: Context, private readonly runs: Run[], private readonly focus: Run, private readonly chosen: FunctionRecord, private readonly signal: AbortSignal) {
    this.fields = Object.entries(chosen.parameters.properties ?? {}).filter(([, schema]) => !isPath(schema)).map(([name, schema]) => field(name, schema, focus.parameters[name]));
    const offered = choices(context, focus), first = offered[context.selected().length > 1 ? 1 : 0]!;
    this.filter = first.filter!;
    this.form = h("form", {
      class: "bh-form", onsubmit: (event: Event) => { event.preventDefault(); void this.submit(); }, oninput: () => { this.changed(); if (this.count.classList.contains("bh-error")) void this.extent(); },
    },
      chosen.mistake && h("div", { class: "bh-note bh-error" }, `A newer version of this function is not in force: ${chosen.mistake}`),
      h("p", {}, chosen.description.split("\n")[0] || chosen.title),
      this.other && h("p", { class: "bh-note" }, `The function ${focus.function} is not there any more; the rule ${focus.rule} names ${chosen.name} now.`),
      h("fieldset", {}, h("legend", {}, "which runs"), ...offered.map((one) => this.radio(one, one === first))),
      ...this.fields.map((one) => one.element),
      !this.other && h("small", {}, "A parameter that you do not change stays as each run had it."), this.count, this.start, this.sure);
    void this.extent();
  }

  private radio(choice: Choice, checked: boolean): HTMLElement {
    const text = h("span", {}, choice.label), choose = () => { this.filter = choice.filter!; void this.extent(); };
    const input = h("input", { type: "radio", name: "bh-which", checked, disabled: !choice.filter, onchange: choose });
    const asked = new URLSearchParams(Object.entries(choice.filter ?? {}).map(([name, value]) => [name, String(value)]));
    if (choice.filter) void json<{ count: number; exact: boolean }>(this.context.transport, "GET", "v1/runs/count", asked).then(({ count, exact }) => {
      text.textContent = `${choice.label} (${exact ? "" : "more than "}${count.toLocaleString("en")})`;
      if (!count) input.disabled = true;
    }, () => undefined);
    return h("label", { class: "bh-choice" }, input, " ", text);
  }

  private body(): Record<string, unknown> {
    const parameters: Record<string, unknown> = {};
    for (const one of this.fields) { const value = this.other || one.touched() ? one.value() : undefined; if (value !== undefined) parameters[one.name] = value; }
    return { filter: this.filter, parameters, ...(this.other && { function: this.chosen.name }) };
  }

  /** Whether another function is to run than did; it takes nothing over but what the form shows. */
  private get other(): boolean {
    return this.chosen.name !== this.focus.function;
  }

  /** How many and how long, before it starts. */
  private async extent(): Promise<void> {
    const mine = ++this.asking;
    this.known = null;
    this.changed();
    this.say("counting …");
    try {
      const known = await json<Extent>(this.context.transport, "POST", "v1/runs", undefined, { ...this.body(), parameters: {}, dry_run: true });
      if (mine !== this.asking) return;
      const { count } = this.known = known, others = this.context.selected().length - count;
      const left = "ids" in this.filter && "function" in this.filter && others > 0 ? `; ${others} selected of other functions are left out` : "";
      this.say(`${inWords(known, this.chosen.title)}${left}`);
      this.start.textContent = `Run ${count.toLocaleString("en")} again`;
      this.start.disabled = count === 0;
    } catch (error) { if (mine === this.asking) this.say((error as Error).message, true); }
  }

  private say(text: string, wrong = false): void {
    this.count.textContent = text;
    this.count.classList.toggle("bh-error", wrong);
  }

  /** What was asked for is another now: it can be started, as far as it is known how much it is. */
  private changed(): void {
    this.start.disabled = !this.known?.count;
    this.start.hidden = false;
    this.sure.hidden = true;
  }

  /** Once more, where it is much; who goes on with Enter or a double click starts nothing. */
  private ask(extent: Extent): void {
    const text = question(extent), no = h("button", { type: "button", onclick: () => { this.changed(); this.start.focus(); } }, "Not now");
    const yes = h("button", { type: "button", class: "bh-primary", onclick: () => { this.changed(); this.start.focus(); void this.send(); } }, "Run them again");
    this.sure.setAttribute("aria-label", text);
    this.sure.replaceChildren(h("strong", {}, text), no, yes);
    this.sure.hidden = false;
    this.start.hidden = true;
    no.focus();
  }

  private async submit(): Promise<void> {
    if (this.start.disabled || !this.known || this.fields.some((one) => one.touched() && !one.check())) return;
    if (isMany(this.known)) this.ask(this.known);
    else await this.send();
  }

  private async send(): Promise<void> {
    const held = this.start.matches(":focus"); // which a button that is disabled loses
    this.start.disabled = true; // until something is changed
    const body = this.body(), text = JSON.stringify(body), key = this.keys.get(text) ?? crypto.randomUUID();
    this.keys.set(text, key);
    try {
      const made = (await json<Page<Run>>(this.context.transport, "POST", "v1/runs", undefined, body, { "Idempotency-Key": key })).items;
      this.begun(key, body.parameters as Record<string, unknown>, made, held);
    } catch (error) {
      const message = (error as Error).message, at = this.fields.find((one) => message.startsWith(`parameters.${one.name}:`));
      if (at) at.complain(message.split(": ").slice(1).join(": "));
      else this.say(message, true);
      this.start.disabled = false;
      if (!at && held && isNowhere()) this.start.focus();
    }
  }

  private begun(key: string, parameters: Record<string, unknown>, made: Run[], held: boolean): void {
    const version = new Map(made.map((run) => [run.file.id, run]));
    const pairs = this.runs.filter((run) => run.function === this.focus.function && version.has(run.file.id)).map((run): [Run, Run] => [run, version.get(run.file.id)!]);
    const before = (name: string) => {
      const values = (pairs.length ? pairs.map(([run]) => run) : [this.focus]).map((run) => run.parameters[name] ?? this.chosen.parameters.properties?.[name]?.default);
      return [...new Set(values.map((value) => JSON.stringify(value) ?? "none"))].slice(0, 3).join(", ");
    };
    const changed = Object.entries(parameters).map(([name, value]): Changed => ({ name, before: before(name), after: JSON.stringify(value) })).filter((one) => one.before !== one.after);
    last?.element.remove();
    last = new Batch(this.context, key, changed, pairs);
    this.form.after(last.element);
    if (held && isNowhere()) last.element.focus();
    void last.follow(this.signal);
  }
}

/** Whether the keyboard leads to nothing; what had the focus lost it. */
function isNowhere(): boolean { return document.activeElement === null || document.activeElement === document.body; }

/** Only runs of the clicked one's function: this one, those selected, and of what the table shows the failed ones or all. */
function choices(context: Context, focus: Run): Choice[] {
  const selected = context.selected(), name = focus.function, shown = asFilter(context);
  const what = context.filter().search.trim() ? "that match the search" : "of the proposal";
  return [
    { label: "this run", filter: { ids: [focus.id] } },
    ...(selected.length > 1 ? [{ label: "the selected runs", filter: { ids: selected.slice(0, 1000), function: name } }] : []),
    { label: `all failed runs ${what}`, filter: narrowed(shown, { state: "failed", function: name }) },
    { label: `all runs ${what}`, filter: narrowed(shown, { function: name }) },
  ];
}

/** The table's filter as the service takes it in a body. */
function asFilter(context: Context): Filter {
  const asked = query(context.filter());
  asked.delete("sort");
  return Object.fromEntries([...new Set(asked.keys())].map((name) => { const values = asked.getAll(name); return [name, values.length > 1 ? values : values[0]]; }));
}

/** Nothing where the filter asks for something else already. */
function narrowed(filter: Filter, more: Filter): Filter | null {
  return Object.entries(more).some(([name, value]) => name in filter && filter[name] !== value) ? null : { ...filter, ...more };
}

interface Field { name: string; element: HTMLElement; touched(): boolean; value(): unknown; check(): boolean; complain(message: string): void }

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
  let touched = false;
  input.addEventListener("input", () => { touched = true; });
  const range = numeric && (schema.minimum !== undefined || schema.maximum !== undefined) ? ` (${schema.minimum ?? ""} to ${schema.exclusiveMaximum !== undefined ? `below ${schema.exclusiveMaximum}` : schema.maximum ?? ""})` : "";
  const complain = (message: string) => { error.textContent = message; input.setAttribute("aria-invalid", String(Boolean(message))); if (message) input.focus(); };
  return {
    name, complain, touched: () => touched,
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
