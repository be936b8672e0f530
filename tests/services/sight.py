"""What makes a page believe that nobody sees it, or that somebody does again: without a screen, no browser tells."""

TELL = """() => {{ {before}
  Object.defineProperty(document, "hidden", {{ get: () => {hidden}, configurable: true }});
  Object.defineProperty(document, "visibilityState", {{ get: () => {state}, configurable: true }});
  document.dispatchEvent(new Event("visibilitychange")); }}"""
MARK = 'for (const root of document.querySelectorAll(".bh-root")) root.dataset.seen = "";'  # what is painted by then
OUT_OF_SIGHT = TELL.format(hidden="true", state='"hidden"', before=MARK)
IN_SIGHT = TELL.format(hidden="false", state='"visible"', before="")
