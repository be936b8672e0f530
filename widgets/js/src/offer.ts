// Below the sentence that nothing matches: the way to ask why a file is not there; its form is in the second chunk.
import { h } from "./dom.js";

const offered = new WeakMap<HTMLElement, HTMLElement>();

/** Put what `make` gives below a note, or take it away; what somebody writes there meanwhile stays. */
export function offerWhy(note: HTMLElement, wanted: boolean, make: () => Promise<HTMLElement>): void {
  const there = offered.get(note);
  if (!wanted) { there?.remove(); offered.delete(note); }
  if (!wanted || there) return;
  const place = h("div", {});
  offered.set(note, place);
  note.after(place);
  void make().then((made) => place.append(made), () => { place.remove(); offered.delete(note); });
}
