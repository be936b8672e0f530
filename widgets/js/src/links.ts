// Links to views of the table: one is copied, and one that was opened is shown.
import { toClipboard } from "./clipboard.js";
import { h } from "./dom.js";
import { MOST_IDS, admitted, take, write, type Linked } from "./link.js";
import type { Filter } from "./rows.js";
import type { Transport } from "./transport.js";

export class Links {
  readonly button = h("button", { type: "button", title: "copy a link that opens this view", onclick: () => void this.copy() }, "Link");
  refused = ""; // why the link that was opened is not shown
  private opened: Linked | null = null;

  /** `now` is the view that is shown. */
  constructor(private readonly transport: Transport, private readonly now: () => Linked) {}

  /** What the page's link asks of a table of a proposal (of any: ""), if no table has it yet. */
  open(proposal: string): Filter | null {
    this.opened = take(proposal);
    return this.opened && this.opened.filter;
  }

  /** Whether the link is to none of these proposals: nothing of it is shown. */
  misses(known: string[]): boolean {
    const wanted = this.opened?.filter.proposal;
    if (wanted === undefined || known.includes(wanted)) return false;
    this.opened = null;
    this.refused = `The link that was opened is to the proposal ${wanted}, which you do not see. If you should, ask those who run the beamline.`;
    return true;
  }

  /** The runs that the link selects, as far as there are any; told once. */
  async runs(): Promise<number[]> {
    const opened = this.opened;
    this.opened = null;
    return opened ? admitted(this.transport, opened) : [];
  }

  private async copy(): Promise<void> {
    const view = this.now(), address = new URL(location.href);
    address.hash = write(view);
    const copied = await toClipboard(address.href);
    if (!copied) history.replaceState(history.state, "", address); // no clipboard without HTTPS
    this.button.textContent = !copied ? "in the address bar" : view.ids.length > MOST_IDS ? `copied, with ${MOST_IDS} selected rows` : "copied";
    setTimeout(() => { this.button.textContent = "Link"; }, 2000);
  }
}
