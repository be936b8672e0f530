// Which proposal a table shows that was told none.
import type { Proposal } from "./records.js";

/** The one that got data last; of several the first. The kernel chooses the same: newest in browse.py. */
export function newest(proposals: Proposal[]): string | undefined {
  const last = ({ last }: Proposal) => (last ?? "").replace("Z", ""); // so that a part of a second is later than none
  return proposals.reduce<Proposal | undefined>((best, one) => (best && last(best) >= last(one) ? best : one), undefined)?.name;
}
