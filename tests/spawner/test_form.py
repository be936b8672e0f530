import re

import pytest
from test_catalogue import load
from test_plan import LATER, MORE, NOW

from beamhub.spawner import form
from beamhub.spawner.sites.site import Estimate


@pytest.fixture
def catalogue(tmp_path):
    return load(MORE.replace("Small analysis", "Small <b>analysis</b>"), tmp_path)


def cards(catalogue, filled=None, groups=(), **estimates):
    return form.render(catalogue, set(groups), estimates or {"here": NOW, "batch": LATER}, filled or {})


def selected(html: str, name: str) -> str:
    select = re.search(rf'<select[^>]*name="{re.escape(name)}">(.*?)</select>', html, re.S)[1]
    return re.search(r'value="([^"]*)" selected', select)[1]


@pytest.mark.promise("bad input")
def test_everything_is_escaped(catalogue):
    html = cards(catalogue)
    assert "Small &lt;b&gt;analysis&lt;/b&gt;" in html
    assert "<b>" not in html


def test_the_first_profile_is_chosen_with_its_defaults(catalogue):
    html = cards(catalogue)
    assert re.search(r'value="small" required\s+checked', html)
    assert (selected(html, "small.cores"), selected(html, "small.walltime")) == ("4", "4h")
    assert "4G memory for each core" in html


def test_a_link_fills_the_form_in(catalogue):
    html = cards(catalogue, {"profile": "small", "cores": ["8"][0], "walltime": "1h", "site": "batch"})
    assert (selected(html, "small.cores"), selected(html, "small.walltime")) == ("8", "1h")
    assert selected(html, "small.site") == "batch"


def test_a_value_that_is_not_offered_is_not_shown_as_chosen(catalogue):
    assert selected(cards(catalogue, {"profile": "small", "cores": "999"}), "small.cores") == "4"


def test_a_profile_for_others_is_shown_with_what_is_needed(catalogue):
    assert re.search(r'value="gpu" required\s+disabled', cards(catalogue))
    assert "you need to be in the group imaging" in cards(catalogue)
    assert "you need" not in cards(catalogue, groups=["imaging"])


def test_when_it_would_start_is_said_in_plain_words(catalogue):
    html = cards(catalogue, here=Estimate("now", age_s=20), batch=LATER)
    assert "This computer: starts now (20 s ago)" in html
    assert "Cluster: in about 10 to 25 min" in html
    assert not re.search(r"spawn|partition|\bpod\b", html)


def test_a_profile_whose_sites_are_all_down_cannot_be_chosen(catalogue):
    html = cards(catalogue, here=Estimate("down"), batch=Estimate("down", message="maintenance until 14:00"))
    assert re.search(r'value="small" required\s+disabled', html)
    assert "not available now" in html


def test_of_the_fields_only_those_of_the_chosen_profile_count():
    sent = {"_xsrf": ["x"], "profile": ["small"], "small.cores": ["8"], "gpu.cores": ["2"], "small.site": [""]}
    assert form.read(sent) == {"profile": "small", "cores": "8"}


@pytest.mark.promise("bad input")
def test_fields_that_the_form_does_not_have_are_passed_on_to_be_refused():
    assert form.read({"profile": ["small"], "image": ["evil"]}) == {"profile": "small", "image": "evil"}


def test_a_server_that_ended_by_itself_is_said(catalogue):
    html = form.render(catalogue, set(), {"here": NOW}, {}, ended="Its <time> was up. Its last lines:\n<a>\nb")
    assert "Its &lt;time&gt; was up.\n" in html
    assert re.search(r"<details.*<pre[^>]*>&lt;a&gt;\nb</pre></details>", html)
    assert "<details" not in form.render(catalogue, set(), {"here": NOW}, {}, ended="Its time was up.")


def test_last_time_is_said_in_words(catalogue):
    assert form.in_short(catalogue, {"profile": "gpu", "cores": 1, "walltime": "4h"}) == "GPU, 1 core, 4h"
    assert form.in_short(catalogue, {"profile": "gone"}) == ""
