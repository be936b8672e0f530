"""Which pixels of an image have values, and in which colours they are painted."""

import h5py
import matplotlib
import numpy as np
import pytest

from beamhub.processing import colours, frames, nexus

COUNTS = [[5, 7], [9, 11]]


@pytest.fixture
def file():
    with h5py.File("in memory", "w", driver="core", backing_store=False) as made:
        made.create_group("entry").attrs["NX_class"] = "NXentry"
        yield made


def stack(file, pixels, **beside):
    group = file["entry"].create_group("image")
    group.attrs.update(NX_class="NXdata", signal="counts")
    group["counts"] = pixels
    for name, values in beside.items():
        group[name] = values
    return frames.find(nexus.contents(file))


@pytest.mark.parametrize(
    ("kind", "gaps"),
    [
        ("u4", [2**32 - 1, 2**32 - 2]),
        ("u8", [2**32 - 1, 2**32 - 2]),
        ("i8", [2**32 - 1, -1, -2]),
        ("i4", [-1, -2]),
        ("f4", [np.nan, np.inf, -np.inf]),
    ],
)
def test_gaps_of_a_detector_are_in_neither_limits_nor_values(file, kind, gaps):
    counts = np.full((2, 200), 7, kind)
    counts[0, : len(gaps)], counts[1, :100] = gaps, 9
    image = frames.shrink(frames.read(stack(file, counts))[0])[0]
    assert np.isnan(image[0, : len(gaps)]).all()
    assert np.isnan(image).sum() == len(gaps)
    assert colours.limits(image, "linear") == (7, 9)


@pytest.mark.parametrize(("kind", "value"), [("u2", 65535), ("u1", 255), ("f8", -1), ("f4", -2)])
def test_what_is_a_value_in_a_type_is_no_gap(file, kind, value):
    assert np.isfinite(frames.read(stack(file, np.array([[1, value]] * 2, kind)))[0]).all()


def test_what_the_pixel_mask_beside_it_masks_has_no_value(file):
    image, _ = frames.read(stack(file, COUNTS, pixel_mask=[[0, 1], [0, 0]]))
    assert np.isnan(image).tolist() == [[False, True], [False, False]]


def test_a_mask_of_another_size_masks_nothing(file):
    assert np.isfinite(frames.read(stack(file, COUNTS, pixel_mask=[0, 1, 0, 1]))[0]).all()


def test_a_stack_has_frames_along_its_first_axis_and_the_last_stands_for_those_beyond(file):
    found = stack(file, np.arange(24).reshape(4, 1, 2, 3))
    assert (found.frames, found.shape) == (4, (2, 3))
    assert frames.read(found, 1)[0].tolist() == [[6, 7, 8], [9, 10, 11]]
    assert frames.read(found, 99)[0][0, 0] == 18


def test_a_huge_frame_is_read_in_steps(file, monkeypatch):
    monkeypatch.setattr(frames, "LARGEST", 100)
    image, step = frames.read(stack(file, np.arange(1600).reshape(40, 40)))
    assert (image.shape, step, image[1, 1]) == ((10, 10), 4, 164)


def test_values_are_those_of_the_file_and_not_more_than_there_are(file):
    found = stack(file, np.arange(12).reshape(3, 4) + 2**40)
    part = frames.values(found, 0, slice(1, 9), slice(2, 9), np.float64) - 2**40
    assert part.tolist() == [[6, 7], [10, 11]]


@pytest.mark.parametrize("name", ["viridis", "cividis", "inferno"])
def test_colours_are_those_of_the_map_of_that_name(name):
    theirs = matplotlib.colormaps[name](np.linspace(0, 1, 256), bytes=True)[:, :3].astype(int)
    assert abs(colours.table(name, 256) - theirs).max() <= 12


def painted(values, scale, low, high):
    picture = np.asarray(colours.coloured(np.array([values], np.float32), scale, low, high, "greys"))[0]
    return [round(float(index) / (colours.COLOURS - 1), 1) for index in picture]


@pytest.mark.parametrize(
    ("scale", "values", "places"),
    [
        ("linear", [0, 30, 50, 100, 200, -5], [0, 0.3, 0.5, 1, 1, 0]),
        ("sqrt", [0, 25, 50, 100, -5], [0, 0.5, 0.7, 1, 0]),
        ("log", [1, 10, 100, 0, -5], [0, 0.5, 1, 0, 0]),
    ],
)
def test_a_scale_says_how_far_up_the_colours_a_value_lies(scale, values, places):
    assert painted(values, scale, 1 if scale == "log" else 0, 100) == places


def test_limits_of_a_logarithmic_scale_are_of_what_is_above_0():
    assert colours.limits(np.array([[0.0, -3, 10, 1000]], np.float32), "log") == pytest.approx((19.9, 990.1), rel=0.01)
    assert colours.limits(np.full((2, 2), np.nan, np.float32), "log") == (0, 1)
