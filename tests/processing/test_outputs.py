import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
import pytest
from services import hostile

from beamhub.catalog.records import Plot, Scalar
from beamhub.processing import nexus
from beamhub.processing.child import address_space
from beamhub.processing.functions import Summary, definition_of, function
from beamhub.processing.outputs import Execution, WrongOutput, check_output, finish, output_name
from beamhub.processing.work import Task, finite


@function(version="2")
def average(raw: Path, out: Path, bins: int = 3, mask: Path | None = None) -> Summary: ...


def task_in(folder):
    folder.mkdir()
    known = {"path": "p1/raw.nxs", "file_id": "00AF"}
    return Task(7, 2, "average", "d1", Path("m.py"), {}, Path("/s/raw.nxs"), folder, 1, 1, provenance=known)


@pytest.mark.parametrize("stem", ["x" * 251, "ü" * 125, "字" * 83])
def test_the_name_of_an_output_fits_into_every_file_system(tmp_path, stem):
    name = output_name(replace(task_in(tmp_path / "attempt"), raw=Path(f"/s/{stem}.nxs")))
    assert len(name.encode()) <= 255
    assert name.startswith(stem[:70])
    assert name.endswith("-average.nxs")


def finished(task, write, **parameters):
    out = task.folder / "raw-average.nxs"
    with h5py.File(out, "w") as file:
        write(file)
    definition = definition_of(average)
    execution = Execution(
        definition,
        definition.parameters(**parameters),
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 2, tzinfo=UTC),
    )
    return finish(task, execution, Summary(scalars={"n": Scalar(value=float("inf"))}), out)


def group(parent, name, **attributes):
    made = parent.create_group(name)
    made.attrs.update(attributes)
    return made


def curve(parent, name="curve", size=4, **attributes):
    made = group(parent, name, NX_class="NXdata", signal="I", axes=["Q"], **attributes)
    made["Q"], made["I"] = np.arange(size, dtype=float), np.arange(size, dtype=float) * 2
    return made


def entry_with_curve(file):
    file.attrs["default"] = "entry"
    return curve(group(file, "entry", NX_class="NXentry", default="curve"))


@pytest.mark.parametrize(
    ("value", "kept", "reason"),
    [
        (1.5, 1.5, ""),
        (float("nan"), None, "not a number"),
        (float("-inf"), None, "infinite"),
        (None, None, ""),
    ],
)
def test_a_number_that_is_not_finite_is_no_value_with_a_reason(value, kept, reason):
    assert finite(Scalar(value=value, unit="m")) == Scalar(value=kept, unit="m", reason=reason)


def test_an_outcome_names_what_lies_in_the_folder(tmp_path):
    task = task_in(tmp_path / "1.part")
    outcome = finished(task, entry_with_curve)
    assert {p.name for p in task.folder.iterdir()} == {outcome.output, outcome.plot, outcome.preview}
    assert outcome.scalars["n"] == Scalar(value=None, reason="infinite")


def test_provenance_says_what_was_made_of_what_by_what_and_when(tmp_path):
    mask = tmp_path / "mask.tif"
    mask.write_bytes(b"mask")
    task = task_in(tmp_path / "1.part")
    outcome = finished(task, entry_with_curve, bins=5, mask=mask)
    with h5py.File(task.folder / outcome.output) as file:
        process = file["entry/beamhub"]
        noted = json.loads(process["provenance/data"][()])
        assert (process.attrs["NX_class"], process["program"][()]) == ("NXprocess", b"BeamHub")
        assert process["parameters/bins"][()] == 5
    assert (noted["path"], noted["file_id"], noted["raw"]) == ("p1/raw.nxs", "00AF", "/s/raw.nxs")
    assert (noted["function"], noted["function_version"], noted["function_digest"]) == ("average", "2", "d1")
    # printf mask | sha256sum
    assert noted["parameter_files"]["mask"].startswith("sha256:")
    assert (noted["started"], noted["finished"]) == ("2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00")


def test_provenance_follows_the_functions_own_processes(tmp_path):
    def write(file):
        own = group(entry_with_curve(file).parent, "reduction", NX_class="NXprocess")
        own["sequence_index"] = 3

    task = task_in(tmp_path / "1.part")
    outcome = finished(task, write)
    with h5py.File(task.folder / outcome.output) as file:
        assert file["entry/beamhub/sequence_index"][()] == 4


def test_links_that_lead_nowhere_do_no_harm(tmp_path):
    def write(file):
        entry = entry_with_curve(file).parent
        entry["soft"], entry["outside"] = h5py.SoftLink("/gone"), h5py.ExternalLink("gone.h5", "/entry")

    outcome = finished(task_in(tmp_path / "1.part"), write)
    assert outcome.plot == "plot.json"


def test_an_output_without_anything_to_plot_is_a_result_all_the_same(tmp_path, capsys):
    outcome = finished(task_in(tmp_path / "1.part"), lambda file: file.create_dataset("numbers", data=[1, 2]))
    assert (outcome.plot, outcome.preview, outcome.sparkline) == ("", "", None)
    assert capsys.readouterr().err == ""


def test_a_plot_that_cannot_be_made_is_a_line_in_the_log(tmp_path, capsys):
    def write(file):
        data = entry_with_curve(file)
        del data["Q"]

    outcome = finished(task_in(tmp_path / "1.part"), write)
    assert outcome.plot == ""
    assert "no plot: /entry/curve names the axis Q, which is not there" in capsys.readouterr().err


def test_the_plot_is_json_without_nan(tmp_path):
    def write(file):
        entry_with_curve(file)["I"][1] = np.nan

    task = task_in(tmp_path / "1.part")
    outcome = finished(task, write)
    text = (task.folder / outcome.plot).read_text()
    assert "NaN" not in text
    assert Plot.model_validate_json(text).curves[0].y == [0.0, None, 4.0, 6.0]


BOMBS = {
    "terabytes": (hostile.terabytes, f"has {hostile.FAR} values, a curve at most"),
    "an image of terabytes": (hostile.sheet, "an image that is drawn at most"),
    "a chunk of 3 GiB": (hostile.wide_chunk, "no plot: "),
    "a filter that is nowhere": (hostile.no_filter, "no plot: .*plugin"),
    "references": (hostile.references, "no plot: "),
    "a type of the user's own": (hostile.compound, "no plot: "),
    "bytes of no type": (hostile.opaque, "no plot: "),
    "no lines": (hostile.no_lines, "no preview: "),
}


@pytest.mark.promise("bad input")
@pytest.mark.timeout(60)
@pytest.mark.parametrize("bomb", BOMBS)
def test_an_output_whose_picture_would_fill_the_machine_is_a_result_and_the_log_says_why_there_is_none(
    tmp_path, capsys, bomb
):
    make, says = BOMBS[bomb]

    def write(file):
        data = entry_with_curve(file)
        del data["I"], data["Q"], data.attrs["axes"]
        make(data, "I")

    with address_space(2**28):
        outcome = finished(task_in(tmp_path / "1.part"), write)
    assert (outcome.output, outcome.plot, outcome.preview) == ("raw-average.nxs", "", "")
    assert re.search(says, capsys.readouterr().err)


@pytest.mark.promise("bad input")
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("part", "make"),
    [("Q", hostile.terabytes), ("errors", hostile.terabytes), ("Q", hostile.small_outside)],
)
def test_an_axis_that_does_not_fit_is_not_unpacked(tmp_path, capsys, part, make):
    def write(file):
        data = entry_with_curve(file)
        data.pop(part, None)
        make(data, part)

    with address_space(2**28):
        assert finished(task_in(tmp_path / "1.part"), write).plot == ""
    told = capsys.readouterr().err
    assert re.search("no plot: /entry/curve.* has (1000000000000|1000) values|4 values and 10+", told)


@pytest.mark.promise("bad input")
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "make",
    [
        hostile.strings,
        hostile.long_string,
        hostile.terabytes,
        hostile.no_filter,
        hostile.references,
        hostile.circles,
        hostile.depth,
    ],
)
@pytest.mark.parametrize("name", ["title", "beamhub_before/sequence_index"])
def test_what_is_wrong_beside_a_curve_costs_neither_its_plot_nor_its_provenance(tmp_path, make, name):
    def write(file):
        entry = entry_with_curve(file).parent
        group(entry, "beamhub_before", NX_class="NXprocess")
        inside, _, last = name.rpartition("/")
        make(entry[inside or "."], last)

    task = task_in(tmp_path / "1.part")
    with address_space(2**28):
        outcome = finished(task, write)
    assert (outcome.plot, outcome.preview) == ("plot.json", "preview.png")
    with h5py.File(task.folder / outcome.output) as file:
        assert "beamhub" in file["entry"]


@pytest.mark.parametrize("make", [hostile.nothing, hostile.not_numbers])
@pytest.mark.promise("bad input")
def test_a_curve_without_values_is_a_plot_without_a_line(tmp_path, make):
    def write(file):
        data = entry_with_curve(file)
        del data["I"], data["Q"], data.attrs["axes"]
        make(data, "I")

    outcome = finished(task_in(tmp_path / "1.part"), write)
    assert (outcome.plot, outcome.preview) == ("plot.json", "preview.png")
    assert not any(outcome.sparkline)


@pytest.mark.promise("bad input")
def test_of_more_groups_than_any_result_has_the_first_are_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(nexus, "MOST_ITEMS", 50)
    with h5py.File(tmp_path / "wide.nxs", "w") as file:
        for number in range(100):
            curve(file, f"{number:03}")
        assert len(nexus.contents(file).plottable) == 49


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "wrote no output"),
        (lambda path: path.symlink_to("/etc/hostname"), "symbolic link"),
        (lambda path: path.mkdir(), "wrote no output"),
        (lambda path: path.write_text("text"), "something else than HDF5"),
    ],
    ids=["nothing", "link", "folder", "text"],
)
def test_what_is_no_hdf5_file_is_no_output(tmp_path, make, message):
    make(tmp_path / "out.nxs")
    with pytest.raises(WrongOutput, match=message):
        check_output(tmp_path / "out.nxs", "average")
