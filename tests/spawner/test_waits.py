import doctest

from beamhub.spawner.sites import waits
from beamhub.spawner.sites.waits import LONG_AGO, Waits


def test_its_examples_are_true():
    assert doctest.testmod(waits).failed == 0


def test_too_few_starts_and_those_of_long_ago_say_nothing():
    some = Waits()
    for seconds in (10.0, 20.0):
        some.add(0.0, 1, False, seconds)
    assert some.expected(1, False, 1.0) is None
    some.add(0.0, 1, False, 30.0)
    assert some.expected(1, False, 1.0) == (10.0, 30.0, 3)
    assert some.expected(1, False, LONG_AGO + 1) is None


def test_only_jobs_of_about_the_same_size_count():
    some = Waits()
    for cores in (1, 2, 8, 16, 32):
        for _ in range(3):
            some.add(0.0, cores, False, 60.0 * cores)
    assert some.expected(16, False, 1.0) == (480.0, 1920.0, 9)
    assert some.expected(128, False, 1.0) is None


def test_jobs_with_and_without_gpus_wait_apart():
    some = Waits()
    for _ in range(3):
        some.add(0.0, 1, True, 6 * 3600.0)
    assert some.expected(1, False, 1.0) is None
    assert some.expected(1, True, 1.0) == (21600.0, 21600.0, 3)
