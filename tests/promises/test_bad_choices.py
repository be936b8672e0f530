"""What nobody offered, asked for in each of the three ways: refused in words, and forgotten at the next start."""

import html

import pytest
from services.hub import RunningHub

pytestmark = [pytest.mark.hub, pytest.mark.promise("bad input")]
ACCEPTED = {"profile": "small", "walltime": "4h"}
WRONG = {
    "an unknown profile": ({"profile": "smal"}, "there is no profile 'smal'; did you mean small?"),
    "an unknown site": ({"profile": "small", "site": "hre"}, "there is no 'hre' for this profile; did you mean here?"),
    "an unknown option": ({"profile": "small", "imge": "evil"}, "there is no option 'imge'; possible: "),
    "an unknown value": ({"profile": "small", "cores": "99"}, "cores: '99' is not possible here; possible: 1, 2"),
    "an unknown software": ({"profile": "small", "environment": "x"}, "has no software 'x'; possible: python"),
    "a profile for others": ({"profile": "gpu"}, "for 'GPU reconstruction' you need to be in the group imaging"),
    "markup": ({"profile": "<b>x</b>"}, "there is no profile '<b>x</b>'"),
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """Ada had a server, with options of her own."""
    with RunningHub(tmp_path_factory.mktemp("hub"), extra="c.Spawner.consecutive_failure_limit = 2\n") as hub:
        hub.start_server("ada", options=ACCEPTED)
        hub.stop_server("ada")
        hub.accepted = hub.server("ada")["user_options"]
        hub.page = hub.logged_in("ada")
        yield hub


def by_form(hub, options):
    """The start page's own fields, sent."""
    profile = options["profile"]
    fields = {
        f"{profile}.{name}" if name in ("site", "cores", "environment") else name: v for name, v in options.items()
    }
    xsrf = next(c.value for c in hub.page.cookies.jar if c.name == "_xsrf" and c.path == "/hub/")
    return hub.page.post("hub/spawn/ada", data=fields | {"profile": profile, "_xsrf": xsrf})


def by_query(hub, options):
    """A link to the start page."""
    return hub.page.get("hub/spawn/ada", params=options)


def by_rest(hub, options):
    """The Hub's API, with a token of hers."""
    return hub.as_user("ada").post("hub/api/users/ada/server", json=options)


@pytest.mark.parametrize("way", [by_form, by_query, by_rest])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_choice_is_refused_where_it_was_made_and_the_next_start_without_options_works(hub, way, wrong):
    options, sentence = WRONG[wrong]
    answer = way(hub, options)
    assert answer.status_code == 400
    said = answer.json()["message"] if way is by_rest else html.unescape(answer.text)
    assert sentence in said
    assert way is by_rest or "<b>" not in answer.text.partition("<form")[0]
    assert not hub.server("ada")["ready"]
    assert hub.server("ada")["user_options"] == hub.accepted
    hub.start_server("ada")
    assert hub.server("ada")["user_options"] == hub.accepted
    hub.stop_server("ada")


def test_what_is_no_choice_at_all_is_refused_and_the_next_start_without_options_works(hub):
    wrong = ['"small"', "7", '[1]', "{", '{"profile": {"a": 1}}', '{"profile": ["small", "gpu"]}', '{"cores": 1e999}',
             '{"cores": NaN}', '{"cores": true}', '{"cores": 2.5}', '{"walltime": -1}', '{"profile": "\\u0000"}',
             '{"memory": "1e999G"}', '{"": ""}', '{"' + "x" * 5000 + '": ""}']  # fmt: skip
    answers = {body: hub.as_user("ada").post("hub/api/users/ada/server", content=body) for body in wrong}
    assert {body[:40]: answer.status_code for body, answer in answers.items()} == {body[:40]: 400 for body in wrong}
    assert all(len(answer.text) < 1000 for answer in answers.values())
    assert hub.server("ada")["user_options"] == hub.accepted
    hub.start_server("ada")
    hub.stop_server("ada")


def test_a_link_with_right_choices_fills_the_form_in_and_starts_nothing(hub):
    answer = by_query(hub, {"profile": "small", "cores": "2"})
    assert (answer.status_code, "Error:" in answer.text) == (200, False)
    assert not hub.server("ada")["ready"]
