// Which of the pages that are loaded stay loaded: a bounded number, those nearest to what is looked at.

export const KEPT = 30; // pages

/** The pages to let go of; `looked` is the page that is looked at. */
export function far(pages: Iterable<number>, looked: number, kept = KEPT): number[] {
  return [...pages].sort((a, b) => Math.abs(a - looked) - Math.abs(b - looked)).slice(kept);
}
