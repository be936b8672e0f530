import pytest

from beamhub.config.quantities import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("1h30m", 5400), ("2d", 172800), ("1h 5s", 3605), ("0.5s", 0.5), (90, 90), (0.25, 0.25), ("0s", 0)],
)
def test_durations_are_seconds_and_are_written_as_they_are_read(text, seconds):
    assert parse_duration(text) == seconds
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "size"), [("4G", 2**32), ("512M", 2**29), ("1.5GiB", 1610612736), (7, 7), ("2 k", 2048)]
)
def test_sizes_are_powers_of_1024(text, size):
    assert parse_size(text) == size
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize(
    "value", ["", "4X", "-1", -1, None, True, float("nan"), float("inf"), "1h 1q", 10**400, "9" * 400 + "d", "9" * 400]
)
def test_what_is_no_quantity_is_refused(value):
    with pytest.raises(ValueError, match="write it like"):
        parse_size(value)
    with pytest.raises(ValueError, match="write it like"):
        parse_duration(value)
