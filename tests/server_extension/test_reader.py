"""Files are read in a child: what hangs or dies there stops nothing here."""

import asyncio
import contextlib
import json
import os
import signal
import zlib

import h5py
import pytest
from services import hostile
from services.hostile import zeros

from beamhub.server_extension import reader as module
from beamhub.server_extension.content import Question
from beamhub.server_extension.reader import CannotRead, Hangs, Reader


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "out.h5", "w") as file:
        file["entry/data"] = [1.0, 2.0]
    return tmp_path / "out.h5"


@pytest.fixture
async def reader():
    reading = Reader()
    yield reading
    await end(reading)


async def end(reader: Reader) -> None:
    child = reader._child
    reader.close()
    if child is not None:
        await child.wait()
        child._transport.close()


DATA = Question("data", "/entry/data")


async def test_one_child_answers_all_questions_in_turn(reader, path):
    answers = await asyncio.gather(*(reader.read(path, DATA) for _ in range(3)))
    assert [content for content, _ in answers] == [b"[1.0,2.0]"] * 3
    child = reader._child.pid
    with pytest.raises(CannotRead, match="nothing"):
        await reader.read(path, Question("data", "/nothing"))
    await reader.read(path, DATA)
    assert reader._child.pid == child


async def test_a_file_system_that_hangs_is_given_up_and_the_next_file_is_read(reader, path, tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "hangs.h5")  # opening it waits for a writer
    await reader.read(path, DATA)
    hanging = reader._child
    monkeypatch.setattr(module, "TIMEOUT_S", 0.3)
    with pytest.raises(Hangs, match=r"hangs\.h5"):
        await reader.read(tmp_path / "hangs.h5", DATA)
    await hanging.wait()
    hanging._transport.close()
    monkeypatch.setattr(module, "TIMEOUT_S", 30.0)
    assert (await reader.read(path, DATA))[0] == b"[1.0,2.0]"


async def test_a_child_that_died_is_replaced(reader, path):
    await reader.read(path, DATA)
    reader._child.send_signal(signal.SIGKILL)
    await reader._child.wait()
    assert (await reader.read(path, DATA))[0] == b"[1.0,2.0]"


async def test_the_child_has_no_token(reader, path, monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "alices-token")
    await reader.read(path, DATA)
    with open(f"/proc/{reader._child.pid}/environ", "rb") as file:  # noqa: ASYNC230
        assert b"alices-token" not in file.read()


def test_the_zeros_are_what_zlib_unpacks():
    assert zlib.decompress(zeros(2**25)) == bytes(2**25)


@pytest.mark.parametrize("declared", [3 * 2**30, 1000], ids=["a chunk of 3 GiB", "a chunk that is more than it says"])
async def test_a_small_file_that_unpacks_to_gigabytes_is_refused_and_the_next_one_read(
    reader, path, tmp_path, declared
):
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        data = file.create_dataset("bomb", (declared,), "u1", chunks=(declared,), compression="gzip")
        data.id.write_direct_chunk((0,), zeros(3 * 2**30))
    assert (tmp_path / "bomb.h5").stat().st_size < 10 * 2**20
    await reader.read(path, DATA)
    child = reader._child.pid
    with pytest.raises(CannotRead, match="2 GiB of memory"):
        await reader.read(tmp_path / "bomb.h5", Question("data", "/bomb", selection="0:10"))
    with open(f"/proc/{child}/status") as file:  # noqa: ASYNC230
        peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    assert peak * 1024 < 2.5 * 2**30
    assert (await reader.read(path, DATA))[0] == b"[1.0,2.0]"
    assert reader._child.pid == child


QUESTIONS = {
    "terabytes": (hostile.terabytes, "data", "select a part"),
    "terabytes for statistics": (hostile.terabytes, "stats", "select a part"),
    "an image of terabytes": (hostile.sheet, "data", "select a part"),
    "strings": (hostile.strings, "data", "select a part"),
    "a string of gigabytes": (hostile.long_string, "data", "select a part"),
    "a filter that is nowhere": (hostile.no_filter, "data", "plugin"),
}


@pytest.mark.promise("bad input")
@pytest.mark.parametrize("asked", QUESTIONS)
async def test_what_cannot_be_shown_of_an_output_is_refused_and_the_same_child_answers_on(reader, path, asked):
    make, what, says = QUESTIONS[asked]
    with h5py.File(path, "a") as file:
        make(file, "bad")
    with pytest.raises(CannotRead, match=says):
        await reader.read(path, Question(what, "/bad"))
    child = reader._child.pid
    assert (await reader.read(path, DATA))[0] == b"[1.0,2.0]"
    assert reader._child.pid == child


@pytest.mark.promise("bad input")
@pytest.mark.parametrize("what", ["data", "stats", "meta", "attr"])
@pytest.mark.parametrize("make", [hostile.nothing, hostile.not_numbers, hostile.references, hostile.compound])
async def test_odd_data_is_answered_or_refused_and_the_next_question_answered(reader, path, what, make):
    with h5py.File(path, "a") as file:
        make(file, "odd")
    with contextlib.suppress(CannotRead):
        content, _ = await reader.read(path, Question(what, "/odd"))
        json.loads(content)
    assert (await reader.read(path, DATA))[0] == b"[1.0,2.0]"


@pytest.mark.promise("bad input")
async def test_what_goes_wrong_in_the_middle_of_a_walk_is_said_in_hdf5s_words(reader, path):
    with h5py.File(path, "a") as file:
        file["circle"] = h5py.SoftLink("/circle")
    with pytest.raises(CannotRead, match="too many links"):
        await reader.read(path, Question("paths", "/"))


@pytest.mark.promise("bad input")
@pytest.mark.parametrize("what", ["meta", "attr", "paths"])
async def test_what_is_deep_or_leads_in_circles_is_answered_or_given_up_in_time(reader, path, what, monkeypatch):
    with h5py.File(path, "a") as file:
        hostile.circles(file, "circles")
        hostile.depth(file, "deep", 1000)
    await reader.read(path, DATA)
    child = reader._child
    monkeypatch.setattr(module, "TIMEOUT_S", 5.0)
    with contextlib.suppress(Hangs, CannotRead):
        await reader.read(path, Question(what, "/"))
    monkeypatch.setattr(module, "TIMEOUT_S", 30.0)
    assert (await reader.read(path, DATA))[0] == b"[1.0,2.0]"
    if child is not reader._child:
        await child.wait()
        child._transport.close()
