// By how much this computer's clock is ahead of the server's, so that what runs is not called late for that alone.
let known = 0; // milliseconds

/** What is known now; negative where it is behind. */
export function ahead(): number { return known; }

/** Takes in when an answer was asked for and came, by this computer's clock, and what the server's said in between: `Date`, in whole seconds. */
export function hear(date: string | null, asked: number, came: number): void { known = within(known, Date.parse(date ?? ""), asked, came); }

/** What was known stays as long as it can be right, so that nothing that counts seconds goes back. */
export function within(before: number, said: number, asked: number, came: number): number {
  return Number.isNaN(said) ? before : Math.min(Math.max(before, asked - said - 1000), came - said);
}
