"""Files are read in a child: what hangs or dies there stops nothing here."""

import asyncio
import os
import signal
import zlib

import h5py
import pytest

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


def zeros(count: int) -> bytes:
    """So many zeros (a multiple of 16 MiB), compressed; made of one block again and again, so that it takes no time."""
    block = 16 * 2**20
    packer = zlib.compressobj(9, wbits=-15)
    packed = packer.compress(bytes(block)) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = ((count % 65521) << 16) | 1  # Adler's, of zeros
    return b"\x78\x9c" + packed * (count // block) + b"\x03\x00" + checksum.to_bytes(4, "big")


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
