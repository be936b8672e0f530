import asyncio
import os
from pathlib import Path

import pytest

from beamhub.server_extension import outputs as module
from beamhub.server_extension.outputs import NotThere, Outputs
from beamhub.server_extension.service import Down


@pytest.fixture
async def outputs(service):
    found = Outputs(service)
    yield found
    await found.close()


def lies_at(fake, run: int, path: Path) -> None:
    fake.answers[f"runs/{run}"] = (200, f'{{"id": {run}, "output": "{path}"}}'.encode(), {})


async def test_an_output_that_is_visible_here_is_read_where_it_lies(outputs, fake, tmp_path):
    (tmp_path / "out.h5").write_bytes(b"here")
    lies_at(fake, 1, tmp_path / "out.h5")
    assert await outputs.path(1) == tmp_path / "out.h5"
    assert not fake.requests("results/1/file")


async def test_another_output_is_fetched_once_however_many_ask(outputs, fake, tmp_path):
    lies_at(fake, 1, tmp_path / "not here")
    first, *others = await asyncio.gather(*(outputs.path(1) for _ in range(5)))
    assert first.read_bytes() == fake.output
    assert {*others, await outputs.path(1)} == {first}
    assert len(fake.requests("results/1/file")) == 1


async def test_whoever_may_not_see_the_run_any_more_gets_no_fetched_output_either(outputs, fake):
    await outputs.path(1)
    fake.refuse("runs/1", 404, "there is no run 1 that you may see")
    with pytest.raises(NotThere, match="no run 1") as refused:
        await outputs.path(1)
    assert refused.value.code == 404


async def test_what_was_fetched_makes_room_and_is_gone_with_the_server(service, fake, monkeypatch):
    monkeypatch.setattr(module, "MOST", 25)
    outputs = Outputs(service)
    paths = [await outputs.path(run) for run in (1, 2, 1, 3)]
    assert [path.exists() for path in paths] == [True, False, True, True]
    await outputs.close()
    assert not paths[0].parent.exists()


async def test_an_output_that_is_too_large_is_not_fetched_and_leaves_nothing(outputs, fake, monkeypatch):
    monkeypatch.setattr(module, "LARGEST", 5)
    with pytest.raises(NotThere, match="larger than 5 bytes") as refused:
        await outputs.path(1)
    assert refused.value.code == 413
    assert os.listdir(outputs._folder.name) == []


async def test_a_fetch_that_breaks_off_is_tried_again(outputs, fake):
    fake.answers["results/1/file"] = (200, b"0123", {"Content-Length": "4"})
    fake.refuse("results/1/file", 503, "the store is away")
    with pytest.raises(NotThere, match="the store is away"):
        await outputs.path(1)
    fake.answers["results/1/file"] = (502, b"", {})
    with pytest.raises(Down):
        await outputs.path(1)
    fake.answers.clear()
    assert (await outputs.path(1)).read_bytes() == fake.output
