// Rows as text that other programs read: a Markdown table, or CSV.

export type Cell = string | number;

/** A table of Markdown, as GitHub and notebooks show it; nothing in a cell is markup. */
export function markdown(heads: string[], rows: Cell[][]): string {
  const line = (cells: Cell[]) => `| ${cells.map(plain).join(" | ")} |`;
  const rule = heads.map((_, at) => (rows.length > 0 && rows.every((row) => typeof row[at] === "number" || row[at] === "") ? "--:" : "---"));
  return [line(heads), `| ${rule.join(" | ")} |`, ...rows.map(line)].join("\n") + "\n";
}

function plain(cell: Cell): string {
  return String(cell).replace(/\s+/g, " ").replace(/[\\|`*[\]<>~$&#]|(?<!\w)_|_(?!\w)/g, "\\$&");
}

const FORMULA = /^\s*[=+\-@]|^[\t\r]/, NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** RFC 4180, with an apostrophe before text that a spreadsheet would take for a formula. */
export function csv(heads: string[], rows: Cell[][]): string {
  return [heads, ...rows].map((row) => row.map(quoted).join(",") + "\r\n").join("");
}

function quoted(cell: Cell): string {
  let text = String(cell);
  if (typeof cell === "string" && FORMULA.test(text) && !NUMBER.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
