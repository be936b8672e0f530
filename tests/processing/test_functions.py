import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field, ValidationError

from beamhub.processing.functions import (
    DataError,
    Scalar,
    Summary,
    WrongFunction,
    definition_of,
    function,
    paths_in,
)


@function(title="Radial average", version="1", timeout="90s", memory="2G")
def radial_average(
    raw: Path, out: Path, bins: Annotated[int, Field(ge=10, le=5000)] = 200, mask: Path | None = None
) -> Summary:
    """Mean over rings."""
    return Summary(scalars={"bins": Scalar(value=bins)})


def definition(call):
    found = definition_of(call)
    assert found is not None
    return found


def test_a_decorated_function_can_still_be_called_as_usual():
    assert radial_average(Path("a"), Path("b"), 12).scalars["bins"].value == 12


def test_bounds_are_read_as_seconds_and_bytes():
    assert (definition(radial_average).timeout_s, definition(radial_average).memory_bytes) == (
        90.0,
        2 * 1024**3,
    )


def test_the_parameters_become_a_json_schema_without_raw_and_out():
    bins = definition(radial_average).schema()["properties"]["bins"]
    assert set(definition(radial_average).schema()["properties"]) == {"bins", "mask"}
    assert (bins["minimum"], bins["maximum"], bins["default"]) == (10, 5000, 200)


@pytest.mark.parametrize("given", [{"bins": 5}, {"bins": "many"}, {"binz": 20}], ids=str)
def test_parameters_outside_of_the_signature_are_refused(given):
    with pytest.raises(ValidationError):
        definition(radial_average).parameters.model_validate(given)


def test_parameters_that_name_files_are_known():
    given = definition(radial_average).parameters.model_validate({"mask": "/m.tif"})
    assert paths_in(given) == {"mask": Path("/m.tif")}


def test_a_function_that_is_not_decorated_has_no_definition():
    assert definition_of(len) is None


def test_a_title_is_made_from_the_name():
    @function(version="1")
    def sum_of_counts(raw: Path, out: Path) -> Summary: ...

    assert definition(sum_of_counts).title == "Sum of counts"


def test_a_function_without_raw_and_out_is_refused_with_what_to_write():
    with pytest.raises(WrongFunction, match=r"def wrong\(raw: Path, out: Path"):

        @function(version="1")
        def wrong(path: Path) -> Summary: ...


def test_a_parameter_without_a_type_is_refused():
    with pytest.raises(WrongFunction, match="parameter bins has no type"):

        @function(version="1")
        def wrong(raw: Path, out: Path, bins=3) -> Summary: ...


def test_a_catch_all_parameter_is_refused():
    with pytest.raises(WrongFunction, match="Name each parameter"):

        @function(version="1")
        def wrong(raw: Path, out: Path, **more: int) -> Summary: ...


@pytest.mark.parametrize("bound", [{"timeout": "soon"}, {"memory": "much"}], ids=str)
def test_a_bound_that_cannot_be_read_is_refused_with_an_example(bound):
    with pytest.raises(WrongFunction, match="write it like"):

        @function(version="1", **bound)
        def wrong(raw: Path, out: Path) -> Summary: ...


def test_data_error_is_an_ordinary_exception_with_a_sentence():
    assert str(DataError("no beam centre")) == "no beam centre"


def test_importing_it_loads_no_array_library_no_hdf5_and_no_scheduler():
    code = "import sys, beamhub.processing.functions; print({'numpy', 'h5py', 'distributed'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
