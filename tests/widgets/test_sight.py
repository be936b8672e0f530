"""Which rows of the table are in sight, by what Node.js makes of the same source."""

import pytest
from services.javascript import evaluate

ROW, VISIBLE = 26, 574
FEW, MANY = 5000, 1_000_000


def in_sight(total: int, places: list[float]) -> list[dict]:
    return evaluate("sight.ts", [f"m.sight({total}, {at}, {VISIBLE})" for at in places])


def top_of(row: int, found: dict) -> int:
    """Where a row lies, from the top of all that can be scrolled."""
    return found["shift"] + (row - found["origin"]) * ROW


@pytest.mark.parametrize("total", [1, 10, FEW, MANY])
def test_the_first_row_is_at_the_top_and_the_last_at_the_bottom(total):
    (height,) = evaluate("sight.ts", [f"m.heightOf({total})"])
    first, last = in_sight(total, [0, max(0, height - VISIBLE)])
    assert (first["first"], top_of(0, first)) == (0, 0)
    assert last["last"] == total
    assert top_of(total - 1, last) + ROW == pytest.approx(height, abs=1)


@pytest.mark.parametrize("total", [FEW, MANY])
def test_rows_fill_what_is_in_sight_wherever_the_table_is_scrolled_to(total):
    places = [0, 1, 25.5, 26000, 60_000, 120_000] + ([4_000_000, 15_999_000] if total == MANY else [])
    for at, found in zip(places, in_sight(total, places), strict=True):
        assert top_of(found["first"], found) <= at or found["first"] == 0
        assert top_of(found["last"], found) >= at + VISIBLE
        assert found["last"] - found["first"] < 31


def test_rows_keep_their_places_while_the_table_is_scrolled_by_a_screen():
    before, after = in_sight(MANY, [1000, 1100])
    assert before["origin"] == after["origin"]


def test_the_table_is_no_taller_than_a_browser_lays_out_however_many_of_its_pixels_are_one_of_the_page():
    heights = [f"(globalThis.devicePixelRatio = {ratio}, m.heightOf({MANY}))" for ratio in (1, 2, 3)]
    assert evaluate("sight.ts", heights) == [16_000_000, 16_000_000, 10_666_666]


SHOWN = """((total, part, step, visible) => {
  const at = Math.floor((m.heightOf(total) - visible) * part), whole = m.firstWhole(total, at, visible);
  const row = Math.min(total - 1, Math.max(0, whole + step)), to = m.scrolledTo(row, total, at, visible);
  return { at, row, to, again: m.scrolledTo(row, total, to, visible), ...m.sight(total, to, visible) };
})"""


@pytest.mark.parametrize("total", [FEW, MANY])
def test_the_table_is_scrolled_until_a_row_is_wholly_in_sight_and_no_further(total):
    cases = [(part, step) for part in (0, 0.3, 0.5, 0.999) for step in (-30, -1, 1, 30)]
    every = evaluate("sight.ts", [f"{SHOWN}({total}, {part}, {step}, {VISIBLE})" for part, step in cases])
    for (_, step), found in zip(cases, every, strict=True):
        top = top_of(found["row"], found)
        assert found["to"] - 1 <= top <= found["to"] + VISIBLE - ROW + 1
        assert found["again"] == found["to"]
        if step == 1:
            assert found["to"] == found["at"]
