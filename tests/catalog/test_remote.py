import io
from contextlib import closing

import h5py
import numpy as np
import pytest
from services.api import Bench, serving
from services.scripted import Answer

from beamhub.catalog import Client, Service, errors, open_result, remote, requests
from beamhub.catalog.remote import RemoteFile

VALUES = np.random.default_rng(1).normal(size=(3, 200_000))  # 4.8 MB


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    with h5py.File(folder / "out.h5", "w") as file:
        file.create_dataset("entry/data/I", data=VALUES, chunks=(1, 50_000))
        file["entry"].attrs["title"] = "a measurement"
    with serving(Bench(folder)) as running:
        running.runs = running.arrive("red/scan1/a.nxs", "red/scan1/b.nxs", "red/scan1/c.nxs")
        running.finish(running.runs[0], output=(folder / "out.h5").read_bytes())
        running.finish(running.runs[1], output=b"")
        yield running


@pytest.fixture
def client(bench):
    with closing(Client(Service(bench.url.removesuffix("api/v1/"), "alice"))) as found:
        yield found


@pytest.fixture
def far(client, bench):
    """An output that is not visible here."""
    run = client.send(requests.run(bench.runs[0]))
    return open_result(client, run.model_copy(update={"output": "/nowhere/out.nxs"}))


@pytest.fixture
def asked(client, monkeypatch):
    """The ranges that are asked for."""
    found, send = [], client.send
    monkeypatch.setattr(client, "send", lambda request: found.append(request.headers["Range"]) or send(request))
    return found


def test_an_output_that_is_visible_here_is_its_path(client, bench):
    row = client.send(requests.runs(ids=[bench.runs[0]])).items[0]
    assert row.output == ""  # a listing does not say it; it is asked for
    assert h5py.is_hdf5(open_result(client, row))


def test_hdf5_is_read_over_http_as_it_was_written(far):
    with h5py.File(far, "r") as file:
        assert file["entry"].attrs["title"] == "a measurement"
        np.testing.assert_array_equal(file["entry/data/I"][()], VALUES)


def test_only_the_blocks_that_are_needed_are_asked_for_and_each_once(far, asked):
    with h5py.File(far, "r") as file:
        first = file["entry/data/I"][0, :10]
        np.testing.assert_array_equal(file["entry/data/I"][0, 10:20], VALUES[0, 10:20])
    np.testing.assert_array_equal(first, VALUES[0, :10])
    assert len(asked) == len(set(asked)) <= 3  # of 5


def test_blocks_that_were_not_used_for_long_are_dropped(far, asked, monkeypatch):
    monkeypatch.setattr(remote, "KEPT", 2)
    for block in (0, 1, 2, 1, 0):
        far.seek(block * remote.BLOCK)
        far.read(1)
    assert [int(text.removeprefix("bytes=").split("-")[0]) // remote.BLOCK for text in asked] == [0, 1, 2, 0]


def test_it_behaves_as_a_file(far):
    assert (far.readable(), far.seekable(), far.writable(), far.tell()) == (True, True, False, 0)
    size = far.seek(0, io.SEEK_END)
    assert far.read(5) == b""
    assert far.seek(-4, io.SEEK_CUR) == size - 4
    assert len(far.read()) == 4
    with pytest.raises(ValueError, match="before the beginning"):
        far.seek(-1)
    assert repr(far).startswith("<output of run 1, ")


def test_an_empty_output_is_read_as_empty(client, bench):
    assert RemoteFile(client, bench.runs[1]).read() == b""


def test_a_run_that_is_not_done_has_no_output_and_says_what_to_do(client, bench):
    with pytest.raises(errors.NoOutput, match=r"is (queued|running) and has no output; choose one that is done"):
        open_result(client, client.send(requests.run(bench.runs[2])))


def test_an_output_that_is_not_there_is_said_in_the_services_words(client):
    with pytest.raises(errors.NotFound, match="there is no run 999999"):
        RemoteFile(client, 999_999)


CONTENT = bytes(range(100)) * 30_000


def test_what_ignores_ranges_on_the_way_does_no_harm(script, service):
    script.say(Answer(200, [CONTENT], {"Content-Length": str(len(CONTENT))}))
    with closing(Client(service)) as client:
        far = RemoteFile(client, 1)
        far.seek(remote.BLOCK)
        assert far.read(10) == CONTENT[remote.BLOCK : remote.BLOCK + 10]


def test_an_answer_of_another_size_is_no_data(script, service):
    script.say(Answer(200, [CONTENT], {"Content-Length": str(len(CONTENT))}), Answer(206, [b"short"]))
    with closing(Client(service)) as client, pytest.raises(errors.ServiceDown, match="5 bytes instead of 1048576"):
        RemoteFile(client, 1).read(10)


def test_a_service_that_goes_away_while_reading_is_said_as_everywhere_else(far, monkeypatch):
    def gone(request):
        raise errors.ServiceDown("the processing service does not answer; try again")

    with h5py.File(far, "r") as file:
        data = file["entry/data/I"]
        monkeypatch.setattr(far._client, "send", gone)
        far._blocks.clear()
        with pytest.raises(errors.ServiceDown, match="try again"):
            data[()]
