"""When the page painted what: which row in which state first, and how often the table."""

from typing import Any

# Notes at the first frame after each change of the newest table when a row was first seen in a state, and counts the
# frames in which rows were put in or changed.
WATCH = """
() => {
  window.beamhubSeenEnd?.();
  const seen = (window.beamhubSeen = {}), paints = (window.beamhubPaints = { frames: 0 });
  const rows = [...document.querySelectorAll(".bh-rows")].at(-1);
  let due = false;
  const watching = new MutationObserver(() => {
    const now = [...rows.querySelectorAll(".bh-row[data-id]")].map((row) => `${row.dataset.id} ${row.dataset.state}`);
    const fresh = now.filter((key) => !(key in seen));
    for (const key of fresh) seen[key] = null;
    if (due && !fresh.length) return;
    requestAnimationFrame(() => {
      for (const key of fresh) seen[key] = Date.now();
    });
    if (!due) requestAnimationFrame(() => { due = false; paints.frames++; });
    due = true;
  });
  watching.observe(rows, { subtree: true, childList: true, attributes: true });
  window.beamhubSeenEnd = () => watching.disconnect();
}
"""
STATES = ("queued", "running", "done")


def watch(page: Any) -> None:
    """Begin to note, and forget what was noted."""
    page.evaluate(WATCH)


def paints(page: Any) -> int:
    """In how many frames the table's rows changed."""
    return int(page.evaluate("beamhubPaints.frames"))


def first_seen(page: Any) -> dict[tuple[int, str], float]:
    """When each run's row was first painted in a state, in seconds since 1970."""
    noted = page.evaluate("beamhubSeen")
    keys = {key: (int(number), state) for key in noted for number, state in [key.split(" ")]}
    return {keys[key]: ms / 1000 for key, ms in noted.items() if ms}


def delays(painted: dict[tuple[int, str], float], changed: dict[int, tuple[float, ...]]) -> list[float]:
    """Seconds from each change of a run's state to the first frame that showed it, or one that came after it.

    Args:
        painted: what :func:`first_seen` gave.
        changed: of each run when it was queued, started and finished, in seconds since 1970.
    """
    found = []
    for number, times in changed.items():
        for at, time in enumerate(times):
            later = [painted[number, state] for state in STATES[at:] if (number, state) in painted]
            found += [min(later) - time] if later else []
    return found
