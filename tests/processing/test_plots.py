import h5py
import numpy as np
import pytest

from beamhub.processing import nexus
from beamhub.processing.plots import MOST_POINTS, default_plot


@pytest.fixture
def file():
    with h5py.File("in memory", "w", driver="core", backing_store=False) as made:
        made.create_group("entry").attrs.update(NX_class="NXentry")
        yield made


def data(file, name, values, axis="Q", x=None, nx_class="NXdata", **attributes):
    made = file["entry"].create_group(name)
    made.attrs.update(NX_class=nx_class, signal="I", axes=[axis], **attributes)
    made["I"] = np.asarray(values, dtype=float)
    made[axis] = np.arange(len(values), dtype=float) if x is None else x
    return made


def test_the_default_path_leads_to_the_first_curve(file):
    data(file, "a", [1, 2])
    data(file, "b", [3, 4])
    file.attrs["default"], file["entry"].attrs["default"] = "entry", "b"
    assert [curve.name for curve in default_plot(nexus.contents(file)).curves] == ["b", "a"]


def test_without_a_default_the_first_group_that_can_be_plotted_is_taken(file):
    data(file, "a", [1, 2])
    assert default_plot(nexus.contents(file)).curves[0].y == [1.0, 2.0]


def test_only_curves_over_the_same_axis_are_drawn_together(file):
    data(file, "radial", [1, 2])
    data(file, "sector", [1, 2], axis="phi")
    assert [curve.name for curve in default_plot(nexus.contents(file)).curves] == ["radial"]


def test_titles_units_scales_and_roles_come_from_the_file(file):
    first = data(file, "a", [1, 2], title="Sample", x_log=True, y_log=True)
    first["Q"].attrs["units"], first["I"].attrs["long_name"] = "1/angstrom", "Intensity"
    data(file, "b", [1, 2], role="reference")["title"] = "The facility's own"
    plot = default_plot(nexus.contents(file))
    assert (plot.title, plot.x.unit, plot.y.label) == ("Sample", "1/angstrom", "Intensity")
    assert plot.x.log
    assert plot.y.log
    assert [(c.name, c.role) for c in plot.curves] == [
        ("Sample", "data"),
        ("The facility's own", "reference"),
    ]


@pytest.mark.parametrize("named", ["I_errors", "errors", "by attribute"])
def test_uncertainties_are_found(file, named):
    group = data(file, "a", [1, 2])
    if named == "by attribute":
        group["I"].attrs["uncertainties"], named = "dI", "dI"
    group[named] = [0.1, 0.2]
    assert default_plot(nexus.contents(file)).curves[0].error == [0.1, 0.2]


def test_nxcansas_is_read_by_its_own_names(file):
    group = file["entry"].create_group("sasdata")
    group.attrs.update(canSAS_class="SASdata", signal="I", I_axes="Q")
    group["Q"], group["I"], group["Idev"] = [0.1, 0.2], [5.0, 4.0], [0.5, 0.4]
    plot = default_plot(nexus.contents(file))
    assert (plot.curves[0].x, plot.curves[0].error) == ([0.1, 0.2], [0.5, 0.4])


def test_the_edges_of_a_histogram_become_its_middles(file):
    data(file, "a", [1, 2], x=[0.0, 1.0, 3.0])
    assert default_plot(nexus.contents(file)).curves[0].x == [0.5, 2.0]


def test_one_spectrum_with_a_leading_dimension_of_one_is_a_curve(file):
    group = file["entry"].create_group("azint1d")
    group.attrs.update(NX_class="NXdata", signal="I", axes=[".", "radial_axis"])
    group["I"], group["radial_axis"] = [[1.0, 2.0, 3.0]], [10.0, 20.0, 30.0]
    assert default_plot(nexus.contents(file)).curves[0].x == [10.0, 20.0, 30.0]


def test_a_long_curve_is_thinned_and_keeps_its_ends(file):
    data(file, "a", np.arange(123_456))
    curve = default_plot(nexus.contents(file)).curves[0]
    assert (len(curve.y), curve.y[0], curve.y[-1]) == (MOST_POINTS, 0.0, 123_455.0)


def test_an_image_has_no_plot(file):
    group = file["entry"].create_group("image")
    group.attrs.update(NX_class="NXdata", signal="I")
    group["I"] = np.zeros((3, 4))
    assert default_plot(nexus.contents(file)) is None


def test_a_default_that_points_in_circles_comes_to_an_end(file):
    file.attrs["default"], file["entry"].attrs["default"] = "entry", "/"
    assert default_plot(nexus.contents(file)) is None


def test_values_and_axis_that_do_not_fit_are_said(file):
    data(file, "a", [1, 2, 3], x=[1.0])
    with pytest.raises(nexus.NotPlottable, match="axis Q has 1 values, the signal 3"):
        default_plot(nexus.contents(file))
