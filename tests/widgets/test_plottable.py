import io

import h5py
import numpy as np
import pytest
import xarray as xr

from beamhub.catalog import CatalogError
from beamhub.widgets.plottable import arrays, default_data, variables


@pytest.fixture
def file():
    with h5py.File(io.BytesIO(), "w") as file:
        file.attrs["default"] = "entry"
        file.create_group("entry").attrs.update(NX_class="NXentry", default="data")
        yield file


def group(file: h5py.File, name: str, signal: str = "I", axes: object = "Q", **datasets) -> h5py.Group:
    made = file["entry"].create_group(name)
    made.attrs.update(NX_class="NXdata", signal=signal, axes=axes)
    for key, values in datasets.items():
        made[key] = values
    return made


def dataset(file: h5py.File) -> xr.Dataset:
    return xr.Dataset(*variables(default_data(file)))


def test_signal_axis_uncertainty_and_units(file):
    made = group(file, "data", Q=[0.1, 0.2], I=[5.0, 6.0], I_errors=[0.5, 0.6])
    made["Q"].attrs["units"], made["I"].attrs["units"] = "1/A", b"1/cm"
    found = dataset(file)
    assert found["I"].dims == ("Q",)
    assert (found["Q"].attrs["units"], found["I"].attrs["units"]) == ("1/A", "1/cm")
    assert found["I_errors"].values.tolist() == [0.5, 0.6]


def test_a_cansas_file_names_its_parts_in_its_own_way(file):
    made = file["entry"].create_group("data")
    made.attrs.update(canSAS_class="SASdata", I_axes="Q")
    made["Q"], made["I"], made["Idev"] = [0.1, 0.2], [5.0, 6.0], [0.5, 0.6]
    made["I"].attrs["uncertainties"] = "Idev"
    found = dataset(file)
    assert set(found.data_vars) == {"I", "I_errors"}
    assert list(found.coords) == ["Q"]


def test_curves_beside_it_share_its_axis_where_it_is_the_same(file):
    group(file, "data", Q=[0.1, 0.2], I=[1.0, 2.0])
    group(file, "sector", Q=[0.1, 0.2], I=[3.0, 4.0], I_errors=[0.1, 0.1])
    group(file, "reference", Q=[0.1, 0.2, 0.3], I=[5.0, 6.0, 7.0])
    group(file, "picture", signal="counts", axes=["y", "x"], counts=np.ones((3, 4)))
    found = dataset(file)
    assert found["I_sector"].dims == found["I_errors_sector"].dims == ("Q",)
    assert found["I_reference"].dims == ("Q_reference",)
    assert found["Q_reference"].values.tolist() == [0.1, 0.2, 0.3]
    assert "counts_picture" not in found


def test_a_picture_has_the_axes_that_fit(file):
    group(file, "data", signal="counts", axes=["y", "x"], counts=np.ones((2, 3)), x=[1.0, 2.0, 3.0])
    found = dataset(file)
    assert found["counts"].dims == ("counts_0", "x")
    assert found["x"].values.tolist() == [1.0, 2.0, 3.0]


def test_edges_of_bins_become_their_centres(file):
    group(file, "data", signal="counts", axes="t", counts=[5, 6], t=[0.0, 1.0, 3.0])
    assert dataset(file)["t"].values.tolist() == [0.5, 2.0]


@pytest.mark.parametrize("axes", [".", "nothing", "Q,", np.array([b"Q"])], ids=str)
def test_an_axis_that_is_not_there_is_none(file, axes):
    group(file, "data", axes=axes, I=[1.0, 2.0])
    assert dataset(file)["I"].dims == ("I_0",)


def test_uncertainties_of_another_shape_are_none(file):
    group(file, "data", Q=[0.1, 0.2], I=[1.0, 2.0], I_errors=[0.1])
    assert set(dataset(file).data_vars) == {"I"}


def test_single_values_are_no_arrays(file):
    group(file, "data", Q=[0.1], I=[1.0], title="a curve")
    assert set(arrays(default_data(file))) == {"Q", "I"}


def test_no_default_plot_says_what_to_do(file):
    with pytest.raises(CatalogError, match=r"open it with \.open\(\)"):
        default_data(file)
    file["entry"]["data"] = h5py.SoftLink("/entry")
    file["entry"].attrs["default"] = "data"
    with pytest.raises(CatalogError, match="no default plot"):
        default_data(file)


def test_a_signal_that_is_not_there_is_said(file):
    group(file, "data", signal="nothing")
    with pytest.raises(CatalogError, match="names no signal"):
        dataset(file)
