import json
import logging

import pytest

from beamhub.processing.logs import JsonLines


def line(**more):
    record = logging.makeLogRecord({"name": "beamhub.processing", "levelname": "INFO", "created": 0.0} | more)
    return JsonLines().format(record)


def test_a_record_is_one_line_of_json_with_what_was_given_to_it():
    told = json.loads(line(msg="run %d\nis done", args=(3,), run=3))
    assert told == {
        "time": "1970-01-01T00:00:00.000+00:00",
        "level": "info",
        "logger": "beamhub.processing",
        "message": "run 3\nis done",
        "run": 3,
    }
    assert "\n" not in line(msg="two\nlines")


def test_an_error_has_its_traceback():
    with pytest.raises(ValueError, match="wrong") as caught:
        raise ValueError("wrong")
    told = json.loads(line(msg="failed", exc_info=(caught.type, caught.value, caught.tb)))
    assert told["error"].endswith("ValueError: wrong")
