import time

import pytest

from beamhub.server_extension import selection as module
from beamhub.server_extension.selection import CannotSelect, Selections, parse


def test_each_view_has_its_own_selection():
    selections = Selections()
    selections.put("one", "red", [1, 2])
    assert selections.get("one")["ids"] == [1, 2]
    assert selections.get("two") == {"proposal": "", "ids": [], "time": 0.0}


def test_what_was_selected_at_a_moment_is_still_known():
    selections = Selections()
    begin = time.time()
    time.sleep(0.01)
    selections.put("one", "red", [1])
    between = time.time()
    time.sleep(0.01)
    selections.put("one", "red", [2])
    assert [selections.get("one", at)["ids"] for at in (begin, between, time.time(), None)] == [[], [1], [2], [2]]


def test_the_views_that_were_used_last_are_kept(monkeypatch):
    monkeypatch.setattr(module, "MOST_VIEWS", 2)
    selections = Selections()
    for view in ("old", "used", "old", "new"):
        selections.put(view, "red", [1])
    assert [selections.get(view)["ids"] for view in ("old", "used", "new")] == [[1], [], [1]]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"ids": 1}', b'{"ids": ["1"]}', b'{"ids": [true]}', b'{"ids": [], "proposal": 1}']
)
def test_what_is_no_selection_is_refused(body):
    with pytest.raises(CannotSelect, match="send"):
        parse(body)


def test_a_selection_is_never_cut_off_in_silence():
    with pytest.raises(CannotSelect, match="select fewer"):
        parse(b'{"ids": [' + b",".join([b"1"] * (module.MOST_SELECTED + 1)) + b"]}")
