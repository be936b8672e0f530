"""Which proposal a table shows that was told none: the kernel's rule and the page's are one."""

import json

import pytest
from services.javascript import evaluate

from beamhub.catalog.records import Proposal
from beamhub.widgets.browse import newest

NOON = "2026-11-23T12:00:00"


@pytest.mark.parametrize(
    ("lasts", "chosen"),
    [
        ([], None),
        ([None], "a"),
        ([None, f"{NOON}Z", "2026-11-22T23:00:00Z"], "b"),
        ([f"{NOON}Z", f"{NOON}.000001Z"], "b"),
        ([f"{NOON}.25Z", f"{NOON}.3Z", f"{NOON}Z"], "b"),
        ([f"{NOON}Z", f"{NOON}Z", None], "a"),
    ],
    ids=["none", "one without data", "the newest", "a bit newer", "parts of a second", "the first of equals"],
)
def test_the_page_and_the_kernel_choose_the_proposal_that_got_data_last(lasts, chosen):
    told = [{"name": name, "last": last} for name, last in zip("abc", lasts, strict=False)]
    assert newest([Proposal.model_validate(one) for one in told]) == chosen
    assert evaluate("proposal.ts", [f"m.newest({json.dumps(told)}) ?? null"]) == [chosen]
