// What a table without rows says.
import { whyNothing } from "./reason.js";
import type { Rows } from "./rows.js";

export class Empty {
  private asked = ""; // in which proposal for what
  private reason = "";

  /** `known` is called when the reason is. */
  constructor(private readonly rows: Rows, private readonly known: () => void) {}

  /** One or two sentences; `any` tells whether this person is in a proposal that has files. */
  told(any: boolean): string {
    const { proposal, search } = this.rows.filter;
    if (!any) return "You are in no proposal that has files yet. As soon as a file arrives, it appears here.";
    if (!search) return `No rule has taken a file of ${proposal} yet. As soon as one arrives, it appears here.`;
    const asked = `${proposal}\n${search}`;
    if (this.asked !== asked) {
      this.asked = asked;
      this.reason = `Nothing in ${proposal} matches ${search}.`;
      void whyNothing(this.rows, this.rows.filter).then((reason) => { if (this.asked === asked) this.tell(reason); }, () => undefined);
    }
    return `${this.reason} Words are parts of names; more: state:failed, after:10:00, and the columns' names, as sample:LaB6 or chi2<1.2.`;
  }

  private tell(reason: string): void {
    this.reason = reason;
    this.known();
  }
}
