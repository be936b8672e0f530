import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamhub.processing.spelling import on_disk, shown, spelled
from beamhub.processing.wire import end_text, read_end
from beamhub.processing.work import Failure

# of pieces that are or look like escapes, so that most names have something to be told apart
PIECES = [b"\\", b"x", b"5c", b"\\x5c", b"\\xff", b"\\x", b"\xff", b"\x80", b"\xc3", b"\xa9", b"\xc3\xa9", b"a", b"f/"]
NAMES = st.lists(st.sampled_from(PIECES) | st.binary(max_size=3), max_size=12).map(b"".join)
pytestmark = pytest.mark.promise("bad input")


@given(NAMES)
def test_every_name_is_found_again_by_its_spelling(name):
    assert os.fsencode(on_disk(spelled(os.fsdecode(name)))) == name


@given(NAMES, NAMES)
def test_two_names_have_two_spellings(one, other):
    assert (spelled(os.fsdecode(one)) == spelled(os.fsdecode(other))) == (one == other)


@given(NAMES)
def test_a_spelling_is_text_and_spells_the_same_folders(name):
    spelling = spelled(os.fsdecode(name))
    assert [spelled(os.fsdecode(part)) for part in name.split(b"/")] == spelling.encode().decode().split("/")


@given(st.text(st.characters(codec="utf-8")).filter(lambda name: not re.search(r"\\x(5c|[89a-f][0-9a-f])", name)))
def test_a_name_of_text_is_its_own_spelling(name):
    assert spelled(name) == name == on_disk(name)


@given(NAMES)
def test_no_spelling_leads_to_another_folder(name):
    told = name.decode("latin-1")  # whatever somebody writes
    assert os.fsencode(on_disk(told)).count(b"/") == told.count("/")
    assert (".." in on_disk(told).split("/")) == (".." in told.split("/"))


def test_a_message_that_holds_such_a_name_can_be_sent_and_read():
    said = Failure("data", "DataError", 'h\udcff"\\.nxs is empty.', ("at h\udcfe",))
    assert read_end(end_text(said)) == Failure("data", "DataError", r"""h\xff"\.nxs is empty.""", (r"at h\xfe",))
    assert shown("h\udcff") == r"h\xff"
