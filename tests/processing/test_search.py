"""What is typed above the table, taken apart."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from beamhub.processing.cells import key_of
from beamhub.processing.query import BadQuery, Condition, Range
from beamhub.processing.search import Names, Search, parse

NOW = datetime(2026, 11, 25, 14, 30, tzinfo=ZoneInfo("Europe/Berlin"))
NAMES = Names(
    {
        "column": frozenset({"sample", "temperature", "Q range"}),
        "scalar": frozenset({"chi2", "Rg"}),
        "parameter": frozenset({"bins"}),
    },
    {"radial_average": "radial_average", "Radial average": "radial_average", "sectors": "sectors"},
    frozenset({"saxs"}),
)


def search(text: str) -> Search:
    return parse(text, NAMES, NOW)


def only(text: str) -> Condition:
    (condition,) = search(text).conditions
    return condition


def test_the_example_of_the_documentation_is_understood():
    found = search("sample:LaB6 state:failed after:10:00 chi2<1.2 scan_0007")
    assert found.words == ("scan_0007",)
    assert found.state == "failed"
    assert found.since == datetime(2026, 11, 25, 10, tzinfo=NOW.tzinfo)
    assert found.conditions == (
        Condition("sample", frozenset({"column"}), None, "LaB6"),
        Condition("chi2", frozenset({"scalar"}), Range(None, 1.2, False)),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ()),
        ("  a   B  ", ("a", "b")),
        ('"two words" x', ("two words", "x")),
        ("12:30 :x x: <5 = 2026-11-25", ("12:30", ":x", "x:", "<5", "=", "2026-11-25")),
        ('"open', ("open",)),
        ('""', ()),
        ('"sample:La B6"', ("sample:la b6",)),
        ("sample", ("sample",)),
        ("sample:", ("sample:",)),
    ],
)
def test_what_has_no_name_and_value_is_a_word(text, words):
    assert search(text) == Search(words)


@pytest.mark.parametrize(
    ("text", "numbers", "said"),
    [
        ("chi2<1.2", Range(None, 1.2, False), None),
        ("chi2<=1.2", Range(None, 1.2, True), None),
        ("chi2>-1e-3", Range(-1e-3, None, False), None),
        ("CHI2>=.5", Range(0.5, None, True), None),
        ("Rg:3.52", Range(3.515, 3.525, True), "3.52"),
        ("Rg=3", Range(3.0, 3.0, True), "3"),
        ("Rg:1.5e3", Range(1450.0, 1550.0, True), "1.5e3"),
        ("temperature:300", Range(300.0, 300.0, True), "300"),
        ("bins:200", Range(200.0, 200.0, True), "200"),
    ],
)
def test_a_number_is_compared_in_as_many_digits_as_were_typed(text, numbers, said):
    assert (only(text).numbers, only(text).text) == (numbers, said)


@pytest.mark.parametrize("text", ['sample:"La B6"', '"sample":"La B6"', 'sample="La B6"'])
def test_quotes_keep_together(text):
    assert only(text) == Condition("sample", frozenset({"column"}), None, "La B6")


def test_names_may_hold_blanks_and_be_written_small():
    assert only('"q range":2').name == "Q range"


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("after:9:05", NOW.replace(hour=9, minute=5)),
        ("after:10:00:30", NOW.replace(hour=10, minute=0, second=30)),
        ("after:today", NOW.replace(hour=0, minute=0)),
        ("after:yesterday", NOW.replace(hour=0, minute=0) - timedelta(days=1)),
        ("after:2026-11-24", datetime(2026, 11, 24, tzinfo=NOW.tzinfo)),
        ("after:2026-11-24T08:00", datetime(2026, 11, 24, 8, tzinfo=NOW.tzinfo)),
        ("after:2026-11-24T08:00Z", datetime(2026, 11, 24, 8, tzinfo=ZoneInfo("UTC"))),
    ],
)
def test_times_are_meant_where_the_person_is(text, when):
    assert search(text).since == when
    assert search(text.replace("after", "before")).until == when


@pytest.mark.parametrize("text", ["state:waiting", "State:QUEUED", "state:waiting state:queued"])
def test_states_may_be_said_as_the_table_does(text):
    assert search(text).state == "queued"


def test_a_function_is_found_by_its_title_too():
    assert (
        search('function:"radial average"').function == search("function:radial_average").function == "radial_average"
    )
    assert search("rule:saxs").rule == "saxs"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "smaple:LaB6",
            "nothing here is called 'smaple'; did you mean sample? To look for the text itself, put it in quotes: ",
        ),
        ("zzz<1", "nothing here is called 'zzz'; possible: state, function, rule, after, before, "),
        ("state:fail", "there is no state 'fail'; possible: queued, waiting, running, done, failed, cancelled"),
        ("function:sector", "there is no function 'sector'; did you mean sectors?"),
        ("rule:x", "there is no rule 'x'; possible: saxs"),
        ("chi2<much", "chi2 is compared with numbers, and 'much' is none; write chi2<1.2"),
        ("chi2:good", "chi2 is compared with numbers, and 'good' is none; write chi2:1.2"),
        ("after:noon", "after:noon is no time; write 10:00, today, yesterday or 2026-11-25T14:30"),
        ("after:25:00", "after:25:00 is no time"),
        ("state:done state:failed", "state is searched for twice, as done and as failed; nothing can be both"),
        ("bins<20", "of parameters only equal ones are found; write bins:20"),
    ],
)
def test_what_cannot_be_meant_is_said_with_what_can(text, said):
    with pytest.raises(BadQuery) as caught:
        search(text)
    assert said in str(caught.value)


def test_keys_of_cells_sort_as_the_cells_do():
    numbers = [-1e300, -2.5, -1.0, -1e-9, 0.0, 1e-9, 2.0, 10.0, 1e300]
    assert sorted(numbers, key=key_of) == numbers
    assert key_of(-0.0) == key_of(0.0)
    assert key_of(1e300) < key_of("") <= key_of("") < key_of("A") == key_of("a") < key_of("b")
    assert key_of(None) is None
