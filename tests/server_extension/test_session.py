"""What a server says of itself, and of the time that it has left."""

import asyncio
import os
from datetime import UTC, datetime, timedelta

import pytest

from beamhub.server_extension.session import end_of, memory_limit, memory_used, session
from beamhub.server_extension.time_left import warn

ENDS = datetime(2026, 11, 25, 18, tzinfo=UTC)


async def warned(*left_minutes: float) -> list[int]:
    """What is told at looks with so many minutes left; after the last one, none are."""
    clock = iter([*left_minutes, *[0.0] * 100])
    told: list[int] = []
    running = asyncio.create_task(
        warn(ENDS, lambda data: told.append(data["minutes"]), lambda: ENDS - timedelta(minutes=next(clock)), 0.0)
    )
    await asyncio.wait_for(running, 5)
    return told


@pytest.mark.parametrize(
    ("left", "told"),
    [
        ((60, 31, 30, 29, 11, 10, 9, 5), [30, 10, 5]),
        ((31, 8, 7), [10, 5]),
        ((4,), [5]),
        ((9, 29, 9, 4), [10, 5]),  # the clock was set back meanwhile
        ((-3,), [5]),
    ],
)
async def test_each_warning_is_told_once_and_of_those_that_are_over_only_the_last(left, told):
    assert await warned(*left) == told


def test_the_end_comes_from_the_environment_and_a_wrong_one_is_none():
    assert end_of({"BEAMHUB_ENDS_AT": "2026-11-25T18:00:00Z"}) == ENDS
    assert end_of({"BEAMHUB_ENDS_AT": "2026-11-25T18:00:00"}) == ENDS
    assert end_of({"BEAMHUB_ENDS_AT": "soon"}) is end_of({}) is None


def test_the_limit_of_the_memory_is_the_hubs_or_the_systems_or_none(tmp_path):
    (tmp_path / "max").write_text("max\n")
    (tmp_path / "set").write_text("4294967296\n")
    assert memory_limit({"MEM_LIMIT": "1073741824"}, tmp_path / "set") == 2**30
    assert memory_limit({}, tmp_path / "set") == 2**32
    assert memory_limit({"MEM_LIMIT": ""}, tmp_path / "max") is None
    assert memory_limit({}, tmp_path / "nothing") is None


async def test_what_is_used_counts_what_was_started():
    before = memory_used()
    code = "x = bytearray(100_000_000); print('x', flush=True); input()"
    child = await asyncio.create_subprocess_exec(
        "python3", "-c", code, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    await child.stdout.readline()
    assert memory_used() - before > 90_000_000
    child.stdin.write(b"\n")
    await child.communicate()


def test_a_session_says_cores_and_node():
    found = session({"BEAMHUB_SITE": "here", "CPU_LIMIT": "2.0"})
    assert (found["site"], found["cores"], found["ends_at"]) == ("here", 2.0, "")
    assert session({})["cores"] == len(os.sched_getaffinity(0))
