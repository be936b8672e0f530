"""What becomes of a function's output: provenance in it, and the plot, the preview and the sparkline beside it."""

import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import h5py
from pydantic import BaseModel

from beamhub.processing import nexus, preview
from beamhub.processing.functions import Definition, Summary
from beamhub.processing.plots import default_plot
from beamhub.processing.provenance import add_provenance
from beamhub.processing.spelling import shown
from beamhub.processing.work import Outcome, Task, finite

PLOT, PREVIEW = "plot.json", "preview.png"
LONGEST_NAME = 255  # bytes, of most file systems
Made = TypeVar("Made")


@dataclass(frozen=True)
class Execution:
    """One execution that came to its end: the function, the parameters in force, and when."""

    definition: Definition
    parameters: BaseModel
    started: datetime
    finished: datetime


class WrongOutput(Exception):
    """The function did not write what it should; the message says what is wrong with the file."""


def output_name(task: Task) -> str:
    """The name of the file that a function is asked to write; Unicode, and not too long, whatever the raw file's is."""
    end = f"-{task.function}.nxs"
    stem = shown(task.raw.stem).encode("utf-8", "replace")[: LONGEST_NAME - len(end.encode())]
    return stem.decode("utf-8", "ignore") + end


def finish(task: Task, execution: Execution, summary: Summary, out: Path) -> Outcome:
    """Complete the folder of an attempt.

    Raises:
        WrongOutput: there is no output, or it is not an HDF5 file.
    """
    check_output(out, task.function)
    with h5py.File(out, "r+") as file:
        contents = nexus.contents(file)
        add_provenance(contents.entry, task, execution)
        plot = _attempt("plot", lambda: default_plot(contents))
        image = _attempt("preview", lambda: preview.render(contents, plot))
    if plot is not None:
        (task.folder / PLOT).write_text(plot.model_dump_json())
    if image is not None:
        (task.folder / PREVIEW).write_bytes(image)
    return Outcome(
        scalars={name: finite(scalar) for name, scalar in summary.scalars.items()},
        output=out.name,
        preview=PREVIEW if image is not None else "",
        plot=PLOT if plot is not None else "",
        sparkline=preview.sparkline(plot) if plot is not None else None,
        where=f"{socket.gethostname()}, process {os.getpid()}",
    )


def check_output(out: Path, function: str) -> None:
    """Make sure that the output is a file of its own, in HDF5.

    Raises:
        WrongOutput: nothing was written, a link was written, or something else than HDF5.
    """
    if out.is_symlink():
        raise WrongOutput(f"{function} made its output a symbolic link. Write a file at the path out.")
    if not out.is_file():
        raise WrongOutput(f"{function} wrote no output. Write a NeXus/HDF5 file at the path out.")
    if not h5py.is_hdf5(out):
        raise WrongOutput(f"{function} wrote something else than HDF5 at the path out.")


def _attempt(what: str, make: Callable[[], Made | None]) -> Made | None:
    """A result without a picture is still a result; the reason goes into the run's log."""
    try:
        return make()
    except Exception as exc:  # whatever a function wrote, also what does not fit into memory
        print(f"no {what}: {exc or type(exc).__name__}", file=sys.stderr)
        return None
