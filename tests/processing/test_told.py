"""The file versions that a source remembers."""

import tracemalloc

from beamhub.processing.sources.told import ToldFiles


def test_what_was_added_is_in_it_and_nothing_else_however_many_there_are():
    told = ToldFiles()
    for number in range(30_000):
        told.add(f"red/scan_{number:06d}.nxs:1:{number}")
        told.add(f"red/scan_{number // 2:06d}.nxs:1:{number // 2}")
    assert all(f"red/scan_{number:06d}.nxs:1:{number}" in told for number in range(30_000))
    assert not any(f"red/scan_{number:06d}.nxs:2:{number}" in told for number in range(30_000))
    assert "" not in ToldFiles()


def test_a_hundred_thousand_files_take_about_a_megabyte():
    told = ToldFiles()
    tracemalloc.start()
    try:
        for number in range(200_000):
            told.add(f"scan_{number // 2:06d}.nxs")
        for number in range(10_000):
            told.add(f"scan_{number:06d}.nxs")
        assert tracemalloc.get_traced_memory()[0] < 1.5 * 10**6
    finally:
        tracemalloc.stop()
