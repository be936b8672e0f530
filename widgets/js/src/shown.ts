// How much of what is selected is shown, in words.

/** So many of the first ones, the one that was clicked last among them. */
export function first<Item>(all: Item[], most: number, focus: Item): Item[] {
  const some = all.slice(0, most);
  return all.length <= most || some.includes(focus) || !all.includes(focus) ? some : [...some.slice(0, -1), focus];
}

/**
 * What is left out: of those selected so many were looked at, so many of these have what is shown, and so many are shown.
 * Nothing where that is all.
 */
export function left(what: string, shown: number, having: number, looked: number, selected: number): string {
  const told = (number: number) => number.toLocaleString("en"), part = shown < having;
  if (looked >= selected) return part ? `${told(shown)} of ${told(having)} ${what} are shown.` : "";
  return `${part ? `${told(shown)} of ${told(having)}` : `All ${told(having)}`} ${what} of ${told(looked)} selected runs are shown; ${told(selected - looked)} more ${selected - looked === 1 ? "is" : "are"} selected.`;
}
