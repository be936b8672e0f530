"""The table is scrolled as people do it: by the wheel, and by dragging the scrollbar."""

import time
from typing import Any

SCROLL = ".bh-scroll"
EACH_S = 1 / 60  # between two movements of the hand
NOTCH = 120  # pixels
BUTTON, THUMB = 16, 8  # pixels: the scrollbar's button, and to the middle of the thumb's and the bar's width


def wheel(page: Any, seconds: float) -> None:
    """Down and up again in turn, a second each."""
    box = _box(page)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    for number in _steps(seconds):
        page.mouse.wheel(0, NOTCH if number * EACH_S % 2 < 1.5 else -NOTCH)


def drag(page: Any, seconds: float) -> None:
    """The scrollbar's thumb from the top to the bottom and back, in ten seconds.

    Raises:
        RuntimeError: the thumb was not where it is taken to be.
    """
    box = _box(page)
    top(page)
    page.wait_for_timeout(500)  # the wheel's last turns come to rest, and the thumb is at the top
    top(page)
    page.wait_for_timeout(200)
    x, begin = box["x"] + box["width"] - THUMB, box["y"] + BUTTON + THUMB
    length = box["height"] - 3 * (BUTTON + THUMB)
    page.mouse.move(x, begin)
    page.mouse.down()
    way = 0.0
    for number in _steps(seconds):
        way = number * EACH_S / 5 % 2
        page.mouse.move(x, begin + length * min(way, 2 - way))
    at = page.locator(SCROLL).first.evaluate("one => one.scrollTop")
    page.mouse.up()
    if at == 0 and 0.1 < way < 1.9:
        raise RuntimeError("the scrollbar cannot be dragged")


def top(page: Any) -> None:
    """Back to the newest rows."""
    page.locator(SCROLL).first.evaluate("one => { one.scrollTop = 0; }")


def _box(page: Any) -> dict[str, float]:
    found = page.locator(SCROLL).first.bounding_box()
    assert found is not None
    return dict(found)


def _steps(seconds: float) -> Any:
    """Numbers from 0, as the clock says; those that are late are left out."""
    begin = time.monotonic()
    while (now := time.monotonic() - begin) < seconds:
        number = int(now / EACH_S)
        yield number
        time.sleep(max(0.0, begin + (number + 1) * EACH_S - time.monotonic()))
