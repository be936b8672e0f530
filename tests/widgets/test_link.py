"""A view as a link: read back as it was, and nothing else believed."""

import json

import pytest
from services.javascript import evaluate

VIEW = {"filter": {"proposal": "p/1 & é", "search": "state:failed a=b #c", "sort": "-scalar:chi²"}, "ids": [3, 12, 7]}
USUAL = {"filter": {"proposal": "p", "search": "", "sort": "-queued"}, "ids": []}


def test_a_view_that_was_written_is_read_back():
    there, usual = (f"m.read('#' + m.write({json.dumps(view)}))" for view in (VIEW, USUAL))
    assert evaluate("link.ts", [there, usual, f"m.write({json.dumps(USUAL)})"]) == [VIEW, USUAL, "beamhub=p"]


@pytest.mark.parametrize("sort", ["-started", "file", "-scalar:chi²", "column:sample", "-parameter:bins"])
def test_a_view_is_read_back_in_its_order(sort):
    view = {"filter": {**USUAL["filter"], "sort": sort}, "ids": []}
    assert evaluate("link.ts", [f"m.read('#' + m.write({json.dumps(view)}))"]) == [view]


@pytest.mark.parametrize(
    "fragment",
    ["#beamhub=p&sort=delete", "#beamhub=p&sort=-scalar:", "#beamhub=p&search=a%00b", f"#beamhub=p&search={'x' * 501}",
     "#beamhub=p&runs=-1.0.1e5.2;3.99999999999999999.NaN", "#beamhub=p&other=1"],
)  # fmt: skip
def test_a_part_of_a_link_that_cannot_be_right_counts_as_not_said(fragment):
    assert evaluate("link.ts", [f"m.read({json.dumps(fragment)})"]) == [USUAL]


def test_a_fragment_without_a_proposal_is_none_of_ours():
    fragments = ["", "#", "#a-heading", "#beamhub", "#beamhub=", "#beamhub=a%0Ab", f"#beamhub={'p' * 501}"]
    assert evaluate("link.ts", [f"m.read({json.dumps(each)})" for each in fragments]) == [None] * len(fragments)


def test_a_link_names_at_most_200_runs():
    many = "{filter: {proposal: 'p', search: '', sort: ''}, ids: Array.from({length: 300}, (_, at) => at + 1)}"
    assert evaluate("link.ts", [f"m.read(m.write({many})).ids.length"]) == [200]
