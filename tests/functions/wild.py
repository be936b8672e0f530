"""Functions as people write them on a bad day, and one that is good; copied and run by the tests of processing."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import h5py
import numpy as np
from pydantic import Field

from beamhub.processing.functions import DataError, Scalar, Summary, function


@function(title="Measure", version="3", timeout="20s", memory="1G")
def measure(raw: Path, out: Path, bins: Annotated[int, Field(ge=2)] = 100, mask: Path | None = None) -> Summary:
    """A curve with uncertainties, a reference beside it, and an image."""
    q = np.linspace(0.1, 1, bins)
    with h5py.File(out, "w") as file:
        file.attrs["default"] = "entry"
        entry = group(file, "entry", "NXentry", default="curve")
        curve = group(entry, "curve", "NXdata", signal="I", axes=["Q"], title="I(Q)", x_log=True, y_log=True)
        curve["Q"], curve["I"], curve["I_errors"] = q, q**-2, 0.1 * q**-2
        curve["Q"].attrs["units"], curve["I"].attrs["units"] = "1/angstrom", "1/cm"
        reference = group(entry, "facility", "NXdata", signal="I", axes=["Q"], role="reference")
        reference["Q"], reference["I"] = q, 1.01 * q**-2
        image = group(entry, "image", "NXdata", signal="counts", axes=[".", "."])
        image["counts"] = np.arange(600 * 800).reshape(600, 800)
    print("measured", raw.name)
    return Summary(scalars={"bins": Scalar(value=bins), "nothing": Scalar(value=np.nan, unit="1/cm")})


def group(parent, name, nx_class, **attributes):
    made = parent.create_group(name)
    made.attrs.update(NX_class=nx_class, **attributes)
    return made


@function(version="1")
def fails(raw: Path, out: Path) -> Summary:
    return divided_by(0)


def divided_by(number):
    return 1 / number


@function(version="1")
def misses_the_beam_centre(raw: Path, out: Path) -> Summary:
    raise DataError("no beam centre")


@function(version="1", timeout="1s")
def loops(raw: Path, out: Path) -> Summary:
    while True:
        pass


@function(version="1", timeout="60s")
def ignores_signals_and_loops(raw: Path, out: Path) -> Summary:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    subprocess.Popen(["sleep", "4321"], start_new_session=True)
    raw.with_suffix(".started").write_text(str(os.getpid()))
    ctypes.PyDLL(None).sleep(60)  # with the interpreter's lock held
    return Summary()


@function(version="1")
def ends_its_process(raw: Path, out: Path, code: int = 0) -> Summary:
    os._exit(code)


@function(version="1")
def crashes(raw: Path, out: Path) -> Summary:
    ctypes.string_at(0)
    return Summary()


@function(version="1")
def leaves_by_exit(raw: Path, out: Path) -> Summary:
    sys.exit(3)


@function(version="1", memory="300M")
def eats_memory(raw: Path, out: Path) -> Summary:
    return Summary(scalars={"bytes": Scalar(value=len(bytearray(6 * 1024**3)))})


@function(version="1")
def prints_megabytes(raw: Path, out: Path) -> Summary:
    for _ in range(100_000):
        print("x" * 100)
    print("the last line")
    return measure(raw, out)


@function(version="1")
def writes_no_output(raw: Path, out: Path) -> Summary:
    return Summary()


@function(version="1")
def writes_a_link(raw: Path, out: Path) -> Summary:
    out.symlink_to("/etc/hostname")
    return Summary()


@function(version="1")
def writes_text(raw: Path, out: Path) -> Summary:
    out.write_text("Q I\n")
    return Summary()


@function(version="1")
def returns_a_number(raw: Path, out: Path) -> Summary:
    measure(raw, out)
    return 3.0


@function(version="1")
def leaves_a_sleeping_child(raw: Path, out: Path) -> Summary:
    sleeper = subprocess.Popen(["sleep", "4321"], start_new_session=True)
    raw.with_suffix(".sleeper").write_text(str(sleeper.pid))
    if os.fork() == 0:
        time.sleep(4321)
    return measure(raw, out)


@function(version="1")
def returns_twice(raw: Path, out: Path) -> Summary:
    summary = measure(raw, out)
    os.fork()
    return summary


@function(version="1")
def changes_everything(raw: Path, out: Path) -> Summary:
    os.chdir("/")
    os.umask(0o777)
    os.environ["LEFT_BEHIND"] = "yes"
    os.environ.pop("PATH", None)
    return Summary()


@function(version="1")
def tells_its_environment(raw: Path, out: Path) -> Summary:
    print("\n".join(f"{name}={value}" for name, value in sorted(os.environ.items())))
    print("cwd", Path.cwd())
    return measure(raw, out)


@function(version="1", timeout="30s")
def sleeps(raw: Path, out: Path, seconds: float = 1.0) -> Summary:
    raw.with_suffix(f".{os.getpid()}.running").touch()
    time.sleep(seconds)
    return measure(raw, out)


@function(version="1", timeout="1s")
def stops_what_looks_after_it(raw: Path, out: Path) -> Summary:
    os.kill(os.getppid(), signal.SIGSTOP)
    os._exit(3)


@function(version="1")
def adds_up(raw: Path, out: Path) -> Summary:
    """The sum of the dataset ``data``, wherever its bytes are."""
    with h5py.File(raw) as source, h5py.File(out, "w") as file:
        file["sum"] = source["data"][()].sum()
        return Summary(scalars={"sum": Scalar(value=float(file["sum"][()]))})


@function(version="1")
def replaces_its_input(raw: Path, out: Path, by: str = "") -> Summary:
    out.write_bytes(raw.read_bytes())
    subprocess.run(["rm", raw], check=True)  # past the rail that Python keeps
    if by:
        raw.symlink_to(by)
    return Summary()


@function(version="1")
def copies_its_input(raw: Path, out: Path) -> Summary:
    out.write_bytes(raw.read_bytes())
    return Summary()


@function(version="1")
def has_another_folder_for_a_moment(raw: Path, out: Path, by: str = "") -> Summary:
    folder, away = raw.parent, raw.parents[1] / "away"
    subprocess.run(["mv", folder, away], check=True)
    subprocess.run(["ln", "-s", by, folder], check=True)
    out.write_bytes(raw.read_bytes())
    subprocess.run(["rm", folder], check=True)
    subprocess.run(["mv", away, folder], check=True)
    return Summary()


@function(version="1")
def finds_another_file_linked_for_a_moment(raw: Path, out: Path, linked: str = "", by: str = "") -> Summary:
    subprocess.run(["mv", linked, f"{linked}.away"], check=True)
    subprocess.run(["cp", by, linked], check=True)
    out.write_bytes(raw.read_bytes())
    subprocess.run(["mv", f"{linked}.away", linked], check=True)
    return Summary()


@function(version="1")
def finds_what_is_written_for_a_moment(raw: Path, out: Path) -> Summary:
    command = 'cp -p "$1" "$2.kept" && printf x >> "$1" && cp "$1" "$2" && cp -p "$2.kept" "$1"; rm "$2.kept"'
    subprocess.run(["sh", "-c", command, "sh", raw, out], check=True)
    return Summary()


@function(version="1")
def removes_its_input(raw: Path, out: Path) -> Summary:
    raw.unlink()
    return measure(raw.with_name("gone"), out)


@function(version="1")
def needs_a_missing_module(raw: Path, out: Path) -> Summary:
    import not_installed_anywhere

    return not_installed_anywhere.process(raw, out)


@function(version="1")
def writes_beside_its_input(raw: Path, out: Path) -> Summary:
    (raw.parent / f"{raw.stem}.out").symlink_to(out)
    return Summary(scalars={"escaped": Scalar(value=float((raw.parents[2] / "blue").is_dir()))})


@function(version="1")
def loops_for_long(raw: Path, out: Path) -> Summary:
    raw.with_suffix(".looping").touch()
    while True:
        pass
