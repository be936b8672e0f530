import io

import h5py
import numpy as np
import pytest
from PIL import Image

from beamhub.catalog.records import Axis, Curve, Plot
from beamhub.processing import nexus
from beamhub.processing.frames import shrink
from beamhub.processing.preview import CURVES, SPARKS, render, sparkline


@pytest.fixture
def file():
    with h5py.File("in memory", "w", driver="core", backing_store=False) as made:
        made.create_group("entry").attrs.update(NX_class="NXentry")
        yield made


def image(file, pixels, name="image", **attributes):
    group = file["entry"].create_group(name)
    group.attrs.update(NX_class="NXdata", signal="counts", **attributes)
    group["counts"] = pixels
    return group


def drawn(file, plot=None):
    return np.asarray(Image.open(io.BytesIO(render(nexus.contents(file), plot))).convert("RGBA"))


def brightness(rgba):
    return rgba[..., :3].astype(int).sum(axis=-1)


def line(y, log=False, role="data"):
    return Plot(
        x=Axis(label="x"),
        y=Axis(label="y", log=log),
        curves=[Curve(name="c", x=range(len(y)), y=y, role=role)],
    )


@pytest.mark.parametrize(
    ("shape", "size"), [((150, 150), (150, 150)), ((1030, 1065), (343, 355)), ((4000, 100), (1000, 25))]
)
def test_a_preview_is_at_most_512_wide_and_keeps_its_proportions(file, shape, size):
    image(file, np.random.default_rng(1).random(shape))
    assert drawn(file).shape[:2] == size


def test_small_is_dark_and_large_is_bright(file):
    image(file, np.linspace(0, 1, 100).reshape(10, 10))
    bright = brightness(drawn(file))
    assert bright[0, 0] < bright[5, 5] < bright[9, 9]


def test_what_has_no_value_is_transparent_and_spoils_nothing_beside_it(file):
    pixels = np.tile(np.arange(20.0), (20, 1))
    pixels[3, 4] = np.nan
    image(file, pixels)
    alpha = drawn(file)[..., 3]
    assert alpha[3, 4] == 0
    assert (alpha == 0).sum() == 1


def test_means_over_blocks_leave_out_what_has_no_value():
    pixels = np.ones((2, 1024))
    pixels[0, 0], pixels[:, 2:4] = np.nan, np.nan
    small, _ = shrink(pixels)
    assert small.shape == (1, 512)
    assert small[0, 0] == 1
    assert np.isnan(small[0, 1])


def test_an_image_of_counts_can_ask_for_a_logarithmic_scale(file):
    pixels = np.logspace(0, 6, 100).reshape(10, 10)
    image(file, pixels, image_log=True)
    middle = brightness(drawn(file))[5, 0]
    del file["entry/image"]
    image(file, pixels)
    assert middle > brightness(drawn(file))[5, 0] + 50


def test_a_pixel_without_counts_is_dark_on_a_logarithmic_scale(file):
    pixels = np.logspace(0, 6, 100).reshape(10, 10)
    pixels[5, 5], pixels[6, 6] = 0, np.nan
    image(file, pixels, image_log=True)
    seen = drawn(file)
    assert brightness(seen)[5, 5] == brightness(seen)[0, 0]
    assert (seen[5, 5, 3], seen[6, 6, 3]) == (255, 0)


def test_a_growing_vertical_axis_points_upwards(file):
    group = image(file, np.repeat([[0.0], [1.0]], 2, axis=1), axes=["y", "x"])
    group["y"], group["x"] = [0.0, 1.0], [0.0, 1.0]
    bright = brightness(drawn(file))
    assert bright[0, 0] > bright[1, 0]


@pytest.mark.parametrize("pixels", [np.zeros((5, 5)), np.full((5, 5), np.nan)], ids=["constant", "nothing"])
def test_an_image_without_contrast_is_drawn(file, pixels):
    image(file, pixels)
    assert drawn(file).shape == (5, 5, 4)


def test_an_image_beside_the_default_curve_is_taken_before_the_curve(file):
    group = file["entry"].create_group("curve")
    group.attrs.update(NX_class="NXdata", signal="I")
    group["I"] = [1.0, 2.0]
    image(file, np.zeros((3, 4)), name="later")
    assert drawn(file, line([1.0, 2.0])).shape == (3, 4, 4)


def test_without_an_image_the_curves_are_drawn(file):
    pixels = drawn(file, line([1.0, 5.0, None, 2.0, 3.0]))
    assert pixels.shape == (CURVES[1], CURVES[0], 4)
    assert (pixels[..., 3] > 0).sum() > 100


def test_nothing_to_draw_is_no_preview(file):
    assert render(nexus.contents(file), None) is None


def test_a_sparkline_is_short_and_follows_the_scale_of_its_plot():
    values = [10.0**n for n in range(6)]
    assert sparkline(line(values, log=True)) == (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)
    assert len(sparkline(line(list(map(float, range(1000)))))) == SPARKS


def test_a_sparkline_has_gaps_where_there_are_no_values():
    assert sparkline(line([1.0, None, 3.0])) == (1.0, None, 3.0)
    assert sparkline(line([])) == ()
