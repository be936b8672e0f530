"""The reservations that Slurm 22.05 showed, here as it did, and what is said of them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamhub.spawner.sites import slurm_maintenance
from beamhub.spawner.sites.queue import Job, Stage
from beamhub.spawner.sites.slurm_maintenance import Maintenance, maintenances, nodes, why

LINE = (
    "ReservationName={name} StartTime={begin} EndTime={end} Duration=01:00:00 Nodes={nodes} NodeCnt=4 CoreCnt=64 "
    "Features=(null) PartitionName=(null) Flags={flags} TRES=cpu=64 Users=root Groups=(null) Accounts=(null) "
    "Licenses=(null) State=INACTIVE BurstBuffer=(null) Watts=n/a MaxStartDelay=(null)\n"
)
SAID = "ReqNodeNotAvail, Reserved for maintenance"
OTHER = "ReqNodeNotAvail, May be reserved for other job"
DOWN = "ReqNodeNotAvail, UnavailableNodes:n[1-4]"
NOW = 1795772400.0  # Friday, 27 November 2026, 10:40 in Berlin
HOUR = 3600.0
ALL = frozenset({"n1", "n2", "n3", "n4"})
LATER = "it starts after that, or sooner if you stop it and choose less time"


@pytest.fixture(autouse=True)
def in_berlin(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def line(**more: object) -> str:
    given = {"name": "m1", "begin": 1795766537, "end": 1795770137, "nodes": "n[1-4]", "flags": "MAINT,SPEC_NODES"}
    return LINE.format(**given | more)


def waiting(reason: str = SAID, start: float | None = None) -> Job:
    return Job("7", Stage.WAITING, "PENDING", partitions=("short",), reason=reason, start=start)


def at(hours: float, till: float | None, names: frozenset[str] = ALL) -> Maintenance:
    return Maintenance(NOW + hours * HOUR, None if till is None else NOW + till * HOUR, names)


def test_of_all_reservations_those_for_maintenance_are_read():
    text = line() + line(flags="SPEC_NODES")
    text += line(flags="MAINT,DAILY,PART_NODES", nodes="gpu[08-10]", begin=1795766000)
    assert maintenances(text) == [
        Maintenance(1795766537.0, 1795770137.0, ALL),
        Maintenance(1795766000.0, 1795770137.0, frozenset({"gpu08", "gpu09", "gpu10"})),
    ]


@pytest.mark.parametrize("end", ["Unknown", "NONE", "1827302537", "1", "9" * 30])
def test_an_end_that_is_none_is_not_known(end):
    assert [one.end for one in maintenances(line(end=end))] == [None]


@pytest.mark.parametrize(
    "text",
    [
        "No reservations in the system\n",
        line()[:120],
        line(begin="2026-11-27T14:00:00"),
        line(begin="9" * 30),
        line(nodes="(null)"),
        line(flags="IGNORE_JOBS"),
        line(flags="NOMAINT"),
        line(name="x Flags=MAINT", flags=""),
        line(flags="")[:-1] + " Comment=Flags=MAINT\n",
    ],
)
def test_what_is_no_maintenance_is_none(text):
    assert maintenances(text) == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("n1", {"n1"}),
        ("n[1-2,5],gpu07", {"n1", "n2", "n5", "gpu07"}),
        ("r[1-2]n[01-02]", {"r1n01", "r1n02", "r2n01", "r2n02"}),
        ("(null)", set()),
        ("n[2-1],m", {"m"}),
        ("m,n[1-999999999]", {"m"}),
        ("m,n[1-999][1-999],k", {"m"}),
    ],
)
def test_names_of_nodes_that_are_written_as_one_are_many(text, names):
    assert nodes(text) == names


@pytest.mark.parametrize("text", ["n[1-", "n" + "[1-9]" * 9999, "n[" + "1-99999," * 9999 + "]", "n[1-9]," * 99999])
def test_names_of_nodes_are_never_too_many(text):
    assert len(nodes(text)) <= slurm_maintenance.MOST


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (at(3, 7), f"maintenance from 13:40 to 17:40 (CET): {LATER}"),
        (at(3, 27), f"maintenance from 13:40 to 13:40 on Sat 28 Nov (CET): {LATER}"),
        (at(24, 26), f"maintenance from 10:40 to 12:40 on Sat 28 Nov (CET): {LATER}"),
        (at(24, 50), f"maintenance from 10:40 on Sat 28 Nov to 12:40 on Sun 29 Nov (CET): {LATER}"),
        (at(3, None), f"maintenance from 13:40 (CET), its end is not known yet: {LATER}"),
        (at(-1, 7), "maintenance until 17:40 (CET): it starts after that"),
        (at(-30, 30), "maintenance until 16:40 on Sat 28 Nov (CET): it starts after that"),
        (at(-1, None), "maintenance, its end is not known yet: it starts after that"),
        (at(-2, -1), ""),
    ],
)
def test_when_it_is_is_said_by_the_clock_of_the_place_with_the_day_where_it_is_not_today(one, said):
    assert why([one], waiting(), ALL, NOW) == said


def test_another_zone_has_other_times(monkeypatch):
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    time.tzset()
    assert why([at(3, 7)], waiting(), ALL, NOW).startswith("maintenance from 04:40 to 08:40 (PST):")


def test_where_the_clocks_change_each_time_has_its_zone():
    changes = Maintenance(1792972800.0, 1792998000.0, ALL)  # 26 October 2026, 01:00 to 07:00 in Berlin's winter
    before = 1792875600.0  # the day before the last in summer time
    assert time.strftime("%H:%M %Z", time.localtime(before)) == "23:00 CEST"
    said = why([changes], waiting(), ALL, before)
    assert said.startswith("maintenance from 01:00 to 08:00 on Mon 26 Oct (CET):")
    both = Maintenance(1792879200.0, 1792998000.0, ALL)
    assert "from 00:00 on Sun 25 Oct (CEST) to 08:00 on Mon 26 Oct (CET)" in why([both], waiting(), ALL, before)


def test_of_several_the_one_that_takes_most_of_the_jobs_nodes_counts_then_the_one_that_begins_first():
    broken = at(-999, None, frozenset({"n1"}))
    assert "from 13:40" in why([broken, at(5, 6), at(3, 4), at(1, 2, frozenset({"x1"}))], waiting(), ALL, NOW)
    assert why([at(1, 2, frozenset({"x1"}))], waiting(), ALL, NOW) == ""
    assert "from 11:40" in why([at(1, 2, frozenset({"x1"}))], waiting(), [], NOW)


def test_one_that_begins_after_the_job_is_planned_to_start_is_not_waited_for():
    rolling = at(1, 2, frozenset({"n1", "n2"}))
    assert "from 11:40 to 12:40" in why([rolling, at(99, 100)], waiting(start=NOW + 2 * HOUR), ALL, NOW)
    assert why([at(99, 100)], waiting(start=NOW + 2 * HOUR), ALL, NOW) == ""
    assert "11:40 on" in why([at(24, 25)], waiting(start=NOW - HOUR), ALL, NOW)  # a plan that did not come true


@pytest.mark.parametrize("reason", [OTHER, DOWN])
def test_where_slurm_does_not_speak_of_maintenance_only_one_that_takes_all_nodes_counts(reason):
    assert "until 11:40" in why([at(-1, 1)], waiting(reason), ALL, NOW)
    assert "until 11:40" in why([at(-1, 1)], waiting(reason), ["n1"], NOW)
    assert "from 11:40" in why([at(1, 2)], waiting(reason, start=NOW + 2 * HOUR), ALL, NOW)
    assert why([at(1, 2)], waiting(reason), ALL, NOW) == ""
    assert why([at(-1, 1)], waiting(reason), [*ALL, "n5"], NOW) == ""
    assert why([at(-1, 1)], waiting(reason), [], NOW) == ""


@pytest.mark.parametrize(
    ("reason", "waits"),
    [
        (SAID, True),
        (SAID.replace(" ", "_"), True),
        (f"({SAID})", True),
        (OTHER, True),
        (DOWN, True),
        ("Resources", False),
        ("Reservation", False),
        ("", False),
    ],
)
def test_only_who_may_wait_for_maintenance_is_asked_for(reason, waits):
    assert slurm_maintenance.waits(waiting(reason)) is waits


def test_a_node_that_is_called_maintenance_makes_none():
    assert why([at(1, 2)], waiting("ReqNodeNotAvail, UnavailableNodes:maintenance"), ALL, NOW) == ""


@given(st.text() | st.from_regex(slurm_maintenance.RESERVATION))
def test_no_answer_is_too_strange(text):
    for job in (waiting(), waiting(OTHER), waiting(SAID, start=5.0)):
        why(maintenances(text), job, ALL, NOW)
