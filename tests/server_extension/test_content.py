import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from services import hostile

from beamhub.server_extension import content as module
from beamhub.server_extension.content import Question, read


@pytest.fixture
def path(tmp_path) -> Path:
    path = tmp_path / "out.h5"
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry")
        entry.attrs["default"] = "data"
        entry["image"] = np.arange(12.0).reshape(3, 4)
        entry["image"].attrs["units"] = "counts"
        entry["gap"] = [1.0, np.nan]
        entry["text"] = "measured"
        entry["nowhere"] = h5py.SoftLink("/nothing")
        entry.create_dataset("huge", (1000, 1000, 1000), "f8", chunks=True)
    return path


def asked(path: Path, what: str, where: str = "/entry/image", **more) -> object:
    return json.loads(read(path, Question(what, where, **more))[0])


def test_what_is_there_is_told_in_h5groves_words(path):
    assert asked(path, "meta")["shape"] == [3, 4]
    assert asked(path, "attr") == {"units": "counts"}
    assert "/entry/image" in asked(path, "paths", "/")
    assert asked(path, "stats")["max"] == 11.0
    assert asked(path, "data", "/entry/text") == "measured"


def test_a_part_of_the_values_is_read(path):
    assert asked(path, "data", selection="1,::2") == [4.0, 6.0]
    assert asked(path, "data", selection="0", flatten=True) == [0.0, 1.0, 2.0, 3.0]


def test_values_that_are_no_numbers_are_null(path):
    assert asked(path, "data", "/entry/gap") == [1.0, None]


def test_values_come_as_bytes_for_programs(path):
    content, headers = read(path, Question("data", "/entry/image", format="bin"))
    assert np.frombuffer(content).tolist() == list(range(12))
    assert headers["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize("what", ["data", "stats"])
@pytest.mark.promise("bad input")
def test_more_than_can_be_answered_is_refused_before_it_is_read(path, what):
    with pytest.raises(ValueError, match="select a part"):
        read(path, Question(what, "/entry/huge"))
    with pytest.raises(ValueError, match="select a part"):
        read(path, Question(what, "/entry/huge", selection="0:200"))
    assert asked(path, "data", "/entry/huge", selection="0,0,0:2") == [0.0, 0.0]


@pytest.mark.promise("bad input")
def test_more_names_than_can_be_answered_are_refused(path, monkeypatch):
    monkeypatch.setattr(module, "LARGEST", 10)
    with pytest.raises(ValueError, match="ask for a group further down"):
        read(path, Question("paths"))


@pytest.mark.promise("bad input")
def test_a_few_values_from_all_over_terabytes_are_refused_before_they_are_unpacked(path):
    with h5py.File(path, "a") as file:
        hostile.terabytes(file, "bomb")
    with pytest.raises(ValueError, match="select what lies closer together"):
        read(path, Question("data", "/bomb", selection=f"::{hostile.FAR // 10}"))
    assert asked(path, "data", "/bomb", selection=f"{hostile.FAR // 2}:{hostile.FAR // 2 + 9}:4") == [1.0, 1.0, 1.0]


def test_as_text_less_is_answered_than_as_bytes(path, monkeypatch):
    monkeypatch.setattr(module, "LARGEST_AS_TEXT", 12 * 8 - 1)
    with pytest.raises(ValueError, match="95 bytes"):
        read(path, Question("data", "/entry/image"))
    assert len(read(path, Question("data", "/entry/image", format="bin"))[0]) == 12 * 8


@pytest.mark.parametrize(
    ("question", "error"),
    [
        (Question("data", "/nothing"), KeyError),
        (Question("data", "/entry/nowhere"), ValueError),
        (Question("data", "/entry"), TypeError),
        (Question("data", "/entry/image", selection="x"), ValueError),
        (Question("data", "/entry/image", selection="0,0,0"), ValueError),
        (Question("data", "/entry/image", format="exe"), ValueError),
    ],
    ids=lambda value: f"{value.path} {value.selection} {value.format}" if isinstance(value, Question) else "",
)
def test_what_cannot_be_answered_is_refused(path, question, error):
    with pytest.raises(error):
        read(path, question)


def test_a_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "out.h5").write_text("no HDF5")
    with pytest.raises((OSError, ValueError, KeyError)):
        read(tmp_path / "out.h5", Question("meta"))
