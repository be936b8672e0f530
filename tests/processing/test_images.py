"""Pictures of outputs over HTTP, and outputs that are no such thing: they are told of, and the next one is drawn."""

import asyncio
import io
import json
import os
import signal

import h5py
import numpy as np
import pytest
from PIL import Image
from services import hostile
from services.api import Bench, serving

from beamhub.processing import image_reader
from beamhub.processing.image_reader import Busy, ImageReader
from beamhub.processing.reading_child import NoAnswer

COUNTS = np.arange(60 * 40, dtype="u4").reshape(60, 40)


def write(path, pixels=COUNTS, **attributes):
    with h5py.File(path, "w") as file:
        group = file.create_group("entry/image")
        file["entry"].attrs["NX_class"] = "NXentry"
        group.attrs.update(NX_class="NXdata", signal="counts", **attributes)
        if callable(pixels):
            pixels(group, "counts")
        else:
            group["counts"] = pixels
    return path


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    made = Bench(folder)
    names = ("image", "stack", "gaps", "curve")
    runs = made.arrive(*(f"red/scan1/{name}.nxs" for name in names))
    gaps = COUNTS.copy()
    gaps[0] = 2**32 - 1
    shapes = {"image": COUNTS, "stack": np.stack([COUNTS, COUNTS * 2, COUNTS * 3]), "gaps": gaps, "curve": [1.0, 2.0]}
    for run, name in zip(runs, names, strict=True):
        made.finish(run, output=write(folder / "out.nxs", shapes[name]).read_bytes())
    made.ids = dict(zip(names, runs, strict=True))
    with serving(made):
        yield made


def ask(bench, name, what="image", **query):
    return bench.ask("alice", "GET", f"results/{bench.ids[name]}/{what}", params=query)


def drawn(answer):
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png"), answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGBA")), json.loads(
        answer.headers["BeamHub-Image"]
    )


def test_a_picture_says_its_limits_shape_and_frames(bench):
    picture, told = drawn(ask(bench, "image"))
    assert picture.shape == (60, 40, 4)
    low, high = np.percentile(COUNTS, (1, 99))
    assert (told["shape"], told["frames"], told["pixel"], told["scale"]) == ([60, 40], 1, 1, "linear")
    assert (told["low"], told["high"]) == pytest.approx((low, high))
    assert (told["colours"][0], told["colours"][-1]) == ("#440154", "#fde725")


def test_a_picture_is_drawn_as_asked(bench):
    picture, told = drawn(ask(bench, "image", width=20, scale="log", low=30, high=1000, colours="greys"))
    assert picture.shape == (30, 20, 4)
    assert (told["low"], told["high"], told["scale"], told["pixel"]) == (30, 1000, "log", 2)
    assert (picture[0, 0, :3].tolist(), picture[-1, -1, :3].tolist()) == ([0, 0, 0], [255, 255, 255])


def test_each_frame_of_a_stack_can_be_seen(bench):
    limits = [drawn(ask(bench, "stack", frame=frame))[1] for frame in (0, 1, 99)]
    assert [(one["frames"], one["frame"]) for one in limits] == [(3, 0), (3, 1), (3, 2)]
    assert [one["high"] / limits[0]["high"] for one in limits] == pytest.approx([1, 2, 3])


def test_gaps_are_transparent_and_spoil_no_limits(bench):
    picture, told = drawn(ask(bench, "gaps"))
    assert (picture[0, :, 3].max(), picture[1:, :, 3].min()) == (0, 255)
    assert told["high"] < 2400


def test_values_are_told_of_a_small_part(bench):
    said = ask(bench, "stack", "pixels", frame=1, x=39, y=58, size=2).json()
    assert said == {"x": 39, "y": 58, "values": [[2 * (58 * 40 + 39)], [2 * (59 * 40 + 39)]]}
    assert ask(bench, "gaps", "pixels", size=2).json()["values"] == [[None, None], [40, 41]]


def test_a_picture_that_is_known_already_is_not_sent_again_and_another_is(bench):
    answer = ask(bench, "image")
    known = {"If-None-Match": answer.headers["ETag"]}
    path = f"results/{bench.ids['image']}/image"
    assert bench.ask("alice", "GET", path, headers=known).status_code == 304
    assert bench.ask("alice", "GET", path, headers=known, params={"scale": "log"}).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        {"scale": "cubic"}, {"colours": "jet"}, {"low": "nan"}, {"high": "high"}, {"low": 2, "high": 1},
        {"frame": -1}, {"width": 4096},
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_refused(bench, query):
    answer = ask(bench, "image", **query)
    assert answer.status_code == 400
    assert next(iter(query)) in answer.json()["message"]


def test_an_output_without_image_says_so(bench):
    answer = ask(bench, "curve")
    assert (answer.status_code, answer.json()["reason"]) == (404, "image")
    assert "has two dimensions" in answer.json()["message"]


@pytest.mark.promise("access")
def test_nobody_sees_the_image_of_a_proposal_that_is_not_theirs(bench):
    for what in ("image", "pixels"):
        assert bench.ask("bob", "GET", f"results/{bench.ids['image']}/{what}").status_code == 404


# Outputs as nobody should write them


@pytest.fixture(scope="module")
def reader():
    opened = ImageReader()
    yield opened
    opened.close()


HOW = {"frame": 0, "width": 64, "scale": "", "low": None, "high": None, "colour_map": "viridis"}


def made(reader, path, **how):
    return asyncio.run(reader.ask("picture", path, **(HOW | how)))


def wide_chunks(group, name):
    data = group.create_dataset(
        name, (2, 2), "u1", chunks=(2**16, 3 * 2**14), maxshape=(None, None), compression="gzip"
    )
    data.id.write_direct_chunk((0, 0), hostile.zeros(3 * 2**30))


def stack_of_terabytes(group, name):
    group.create_dataset(name, (10**6, 10**6, 10**3), "f8", chunks=(1, 1000, 1000), fillvalue=1, compression="gzip")


def elsewhere(group, name):
    group[name] = h5py.ExternalLink("other.nxs", "/entry/image/counts")


def virtual(group, name):
    layout = h5py.VirtualLayout(COUNTS.shape, "u4")
    layout[...] = h5py.VirtualSource("other.nxs", "entry/image/counts", COUNTS.shape)
    group.create_virtual_dataset(name, layout)


def external_data(group, name):
    group.create_dataset(name, COUNTS.shape, "u4", external=[("/etc/passwd", 0, COUNTS.nbytes)])


HOSTILE = {
    "terabytes": (hostile.sheet, "at most 2147483648"),
    "a stack of terabytes": (stack_of_terabytes, "at most 2147483648"),
    "a chunk of 3 GiB": (wide_chunks, ""),
    "no lines": (hostile.no_lines, "no pixels"),
    "a link to another file": (elsewhere, "refers to other.nxs"),
    "virtual": (virtual, "refers to other.nxs"),
    "external data": (external_data, "refers to /etc/passwd"),
    "no numbers": (lambda group, name: group.create_dataset(name, data=np.zeros((2, 2), "V7")), "no numbers"),
}


@pytest.mark.promise("bad input")
@pytest.mark.parametrize("case", HOSTILE)
def test_an_output_that_stands_for_more_than_it_is_has_no_image_and_the_next_one_has(reader, tmp_path, case):
    make, says = HOSTILE[case]
    write(tmp_path / "other.nxs")
    told, picture = made(reader, write(tmp_path / "bad.nxs", make))
    assert says in told["wrong"]
    assert picture == b""
    assert made(reader, tmp_path / "other.nxs")[1].startswith(b"\x89PNG")


@pytest.mark.promise("bad input")
def test_what_is_no_hdf5_has_no_image(reader, tmp_path):
    (tmp_path / "a.nxs").write_text("no HDF5")
    assert "cannot be read as HDF5" in made(reader, tmp_path / "a.nxs")[0]["wrong"]


@pytest.mark.promise("bad input")
def test_an_output_that_hangs_or_ends_its_reader_costs_a_bounded_time_and_the_next_one_is_drawn(
    reader, tmp_path, monkeypatch
):
    monkeypatch.setattr(image_reader, "WITHIN_S", 1)
    os.mkfifo(tmp_path / "hangs.nxs")
    with pytest.raises(NoAnswer, match="within 1 s"):
        made(reader, tmp_path / "hangs.nxs")
    monkeypatch.undo()
    good = write(tmp_path / "a.nxs")
    made(reader, good)
    for child in reader._children:
        if child._child:
            child._child.send_signal(signal.SIGSEGV)
            child._child.wait()
    assert made(reader, good, scale="log")[1].startswith(b"\x89PNG")


def test_pictures_are_kept_up_to_a_number_of_bytes(tmp_path):
    reader = ImageReader(most_bytes=5000)
    try:
        path = write(tmp_path / "a.nxs", np.random.default_rng(1).random((40, 40)))
        for high in range(1, 9):
            made(reader, path, high=high)
        kept = sum(len(content) + image_reader.EACH for _, content in reader._kept.values())
        assert 0 < kept == reader._bytes <= 5000
        path.unlink()
        assert made(reader, path, high=8)[1].startswith(b"\x89PNG")
    finally:
        reader.close()


def test_more_than_can_be_made_in_time_are_refused(reader, tmp_path, monkeypatch):
    monkeypatch.setattr(image_reader, "MOST_WAITING", 0)
    with pytest.raises(Busy, match="others wait"):
        made(reader, tmp_path / "a.nxs")
