"""Columns come from the file itself, and no file stops or ends the service."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest
from services import hostile

from beamhub.processing import column_reader
from beamhub.processing.column_reader import ColumnReader
from beamhub.processing.columns import LONGEST, read_columns


@pytest.fixture
def reader() -> Iterator[ColumnReader]:
    opened = ColumnReader()
    yield opened
    opened.close()


def write(folder: Path, name: str = "a.nxs") -> Path:
    with h5py.File(folder / name, "w") as file:
        entry = file.create_group("entry")
        entry["title"] = "LaB6"
        entry["energy"] = 18.25
        entry["counts"] = np.arange(3)
        entry["one"] = np.array([[7]])
        entry["dark"] = float("nan")
        entry["ok"] = np.True_
        entry["text"] = np.bytes_(b"K\xe4se\0")
        entry["long"] = "x" * 1000
        entry["data"] = h5py.Empty("f")
        entry["counts"].attrs["units"] = "1/s"
        file["link"] = h5py.SoftLink("/entry/title")
        file["relative"] = h5py.SoftLink("entry")
        file["circle"] = h5py.SoftLink("/circle")
    return folder / name


@pytest.mark.parametrize(
    ("place", "cell"),
    [
        ("entry/title", "LaB6"),
        ("/entry/energy", 18.25),
        ("entry/one", 7.0),
        ("entry/ok", 1.0),
        ("entry/counts@units", "1/s"),
        ("entry/text", "K\ufffdse"),
        ("entry/long", "x" * LONGEST),
        ("link", "LaB6"),
        ("relative/title", "LaB6"),
        ("entry/dark", None),
        ("entry/counts", None),
        ("entry/data", None),
        ("entry", None),
        ("entry/nothing", None),
        ("entry/counts@nothing", None),
        ("circle", None),
    ],
)
def test_a_column_is_one_text_or_number_else_none_with_the_place(tmp_path, place, cell):
    write(tmp_path)
    found, why = read_columns(tmp_path, "a.nxs", {"c": place})
    assert found == {"c": cell}
    assert why == ("" if cell is not None else f"no single text or number at {place}")


def external_link(file: h5py.File, other: Path) -> None:
    file["entry"] = h5py.ExternalLink(other, "/entry")


def soft_then_external(file: h5py.File, other: Path) -> None:
    file["out"] = h5py.ExternalLink(other, "/entry")
    file["entry"] = h5py.SoftLink("/out")


def virtual(file: h5py.File, other: Path) -> None:
    layout = h5py.VirtualLayout((), "f8")
    layout[...] = h5py.VirtualSource(other, "entry/energy", ())
    file.create_virtual_dataset("entry/energy", layout)


def external_data(file: h5py.File, other: Path) -> None:
    file.create_dataset("entry/energy", (1,), "f8", external=[(str(other), 0, 8)])


@pytest.mark.parametrize("trick", [external_link, soft_then_external, virtual, external_data])
def test_nothing_is_read_from_a_file_that_a_file_refers_to(tmp_path, trick):
    other = write(tmp_path, "of-another-proposal.nxs")
    with h5py.File(tmp_path / "mine.nxs", "w") as file:
        trick(file, other)
    assert read_columns(tmp_path, "mine.nxs", {"c": "entry/energy"})[0] == {"c": None}


@pytest.mark.parametrize("content", [b"", b"no HDF5", "truncated"], ids=["empty", "text", "truncated"])
def test_a_file_that_is_no_hdf5_has_no_columns_and_says_why(tmp_path, content):
    whole = write(tmp_path).read_bytes()
    (tmp_path / "b.nxs").write_bytes(whole[: len(whole) // 2] if content == "truncated" else content)
    found, why = read_columns(tmp_path, "b.nxs", {"c": "entry/title"})
    assert found == {"c": None}
    assert "open" in why or "truncated" in why


@pytest.mark.parametrize("path", ["gone.nxs", "../beside.nxs", "link.nxs"])
def test_a_file_that_is_gone_or_lies_outside_of_the_storage_has_no_columns(tmp_path, path):
    root = tmp_path / "root"
    root.mkdir()
    write(tmp_path, "beside.nxs")
    (root / "link.nxs").symlink_to(tmp_path / "beside.nxs")
    found, why = read_columns(root, path, {"c": "entry/title"})
    assert found == {"c": None}
    assert path in why


@pytest.mark.promise("bad input")
@pytest.mark.parametrize(
    "make",
    [
        hostile.terabytes,
        hostile.strings,
        hostile.long_string,
        hostile.wide_chunk,
        hostile.no_filter,
        hostile.references,
        hostile.compound,
        hostile.circles,
    ],
)
def test_what_is_no_single_value_is_no_column_whatever_it_stands_for_and_the_next_file_is_read(reader, tmp_path, make):
    write(tmp_path)
    with h5py.File(tmp_path / "b.nxs", "w") as file:
        make(file, "bad")
    found, why = reader.read(tmp_path, "b.nxs", {"c": "bad"}, 20)
    assert (found, why) == ({"c": None}, "no single text or number at bad")
    assert reader.read(tmp_path, "a.nxs", {"c": "entry/title"}, 20)[0] == {"c": "LaB6"}


def test_the_reader_answers_again_and_again_from_one_process(reader, tmp_path):
    write(tmp_path)
    processes = set()
    for _ in range(3):
        assert reader.read(tmp_path, "a.nxs", {"sample": "entry/title"}, 10) == ({"sample": "LaB6"}, "")
        processes.add(reader._child.pid)
    assert len(processes) == 1


def test_a_file_that_hangs_costs_the_time_given_and_the_next_one_is_read(reader, tmp_path):
    write(tmp_path)
    os.mkfifo(tmp_path / "hangs.nxs")
    found, why = reader.read(tmp_path, "hangs.nxs", {"sample": "entry/title"}, 1)
    assert found == {"sample": None}
    assert "within 1 s" in why
    assert reader.read(tmp_path, "a.nxs", {"sample": "entry/title"}, 10)[0] == {"sample": "LaB6"}


def test_a_file_that_ends_its_reader_does_not_end_us(reader, tmp_path):
    write(tmp_path)
    reader.read(tmp_path, "a.nxs", {"sample": "entry/title"}, 10)
    reader._child.send_signal(signal.SIGSEGV)
    answers = [reader.read(tmp_path, "a.nxs", {"sample": "entry/title"}, 10)[0] for _ in range(2)]
    assert answers[-1] == {"sample": "LaB6"}


def test_the_reader_has_nothing_of_the_services_environment(reader, tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "secret")
    write(tmp_path)
    reader.read(tmp_path, "a.nxs", {"sample": "entry/title"}, 10)
    assert "JUPYTERHUB_API_TOKEN" not in psutil.Process(reader._child.pid).environ()


def test_a_closed_reader_leaves_no_process(tmp_path):
    write(tmp_path)
    reader = column_reader.ColumnReader()
    reader.read(tmp_path, "a.nxs", {"sample": "entry/title"}, 10)
    child = reader._child
    reader.close()
    assert child.returncode is not None
