"""The page of promises says what is tested."""

import promised
import pytest


@pytest.mark.timeout(240)
def test_the_page_lists_every_promise_with_its_number_of_cases():
    made = promised.listed_anew()
    assert promised.PAGE.read_text() == made, "write it anew: .venv/bin/python tests/promised.py"


def test_a_name_becomes_the_sentence_that_it_is():
    assert promised.sentence("test_a_killed_hub_loses_nothing") == "A killed Hub loses nothing"


def test_an_area_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="no such area: luck"):
        promised.table({("luck", "tests/test_x.py", "test_it_works"): 1})
