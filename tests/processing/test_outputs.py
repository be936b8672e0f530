import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
import pytest

from beamhub.catalog.records import Plot, Scalar
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
