"""By how much the clock of whoever looks is ahead of the server's."""

import json

import pytest
from services.javascript import SOURCE, evaluate


@pytest.mark.parametrize(
    ("before", "said", "asked", "came", "known"),
    [
        (0, 100_000, 100_300, 100_400, 0),
        (0, 100_000, 100_900, 103_000, 0),  # a slow answer is no clock that is ahead
        (0, 100_000, 110_500, 110_600, 9_500),
        (9_500, 100_000, 110_900, 111_000, 9_900),
        (9_900, 100_000, 110_200, 110_300, 9_900),  # as it can still be right
        (9_900, 100_000, 100_300, 100_400, 400),  # the clock was set right
        (0, 100_000, 90_000, 90_100, -9_900),
        (7, "NaN", 90_000, 90_100, 7),
    ],
)
def test_as_much_as_is_sure_is_known_and_what_was_known_stays_while_it_can_be_right(before, said, asked, came, known):
    assert evaluate("ahead.ts", [f"m.within({before}, {said}, {asked}, {came})"]) == [known]


HEARD = """(async () => {
  const run = { state: "running", late_s: 7, attempts: 0, started: new Date(Date.now() - 12000).toISOString() };
  const headers = { Date: new Date(Date.now() - %d).toUTCString() };
  const server = () => Response.json({ id: "server" }, { headers });
  const page = { cookie: "", getElementById: () => ({ textContent: '{"baseUrl": "/"}' }) };
  Object.assign(globalThis, { VIEW_CHUNK: "", location: { origin: "http://hub" }, document: page, fetch: server });
  const transport = await (await import(%s)).direct("server"), before = m.condition(run, Date.now());
  await transport.send("GET", "v1/runs");
  return [before, m.condition(run, Date.now())].map(([, late]) => late);
})()"""


@pytest.mark.parametrize(("ahead_ms", "late"), [(0, [True, True]), (10_000, [True, False])])
def test_a_run_is_not_late_since_the_clock_of_whoever_looks_is_ahead(ahead_ms, late):
    """It started 12 seconds ago by that clock."""
    direct = json.dumps((SOURCE / "direct.ts").as_uri())
    assert evaluate("columns.ts", [HEARD % (ahead_ms, direct)]) == [late]
