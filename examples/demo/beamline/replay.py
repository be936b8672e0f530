"""The demo's beamline: writes exposures of real measurements into the raw folder, one after another.

Each is written under a temporary name and renamed when it is complete. Started again, it goes on where it was.

    python replay.py RAW_FOLDER [--proposal demo-2026] [--interval 2] [--exposures 40]
"""

import argparse
import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import exposures
import frames
import measurements


@dataclass(frozen=True)
class Shot:
    """One file to come: where it goes below the proposal, and what writes it."""

    path: Path
    write: Callable[[Path], None]


def small_angle(name: str, number: int, of: int) -> Iterator[Shot]:
    """One scan of a real measurement, divided at random into ``of`` exposures."""
    folder = Path(f"scan_{number:04d}_{name}")
    whole = measurements.counted(name, measurements.MEASUREMENTS[name]())
    for exposure in exposures.divide(whole, of, seed=number):
        path = folder / f"{name}_{exposure.number:05d}.nxs"
        yield Shot(path, lambda target, exposure=exposure: exposures.write_exposure(exposure, target))
        if number == 1 and exposure.number == 4:
            yield Shot(folder / f"{name}_aborted.nxs", lambda target, exposure=exposure: _truncated(exposure, target))
        if number == 1 and exposure.number == 9:
            yield Shot(
                folder / f"{name}_no_centre.nxs",
                lambda target, exposure=exposure: _no_centre(exposure, target),
            )


def powder(number: int, of: int) -> Iterator[Shot]:
    """One scan of simulated diffraction frames, with the geometry beside them."""
    folder = Path(f"scan_{number:04d}_lab6")
    for index, frame in enumerate(frames.frames(of, seed=number), start=1):

        def write(target: Path, frame=frame, index=index) -> None:
            frames.write_geometry(target.parent)
            frames.write_frame(frame, index, of, target)

        yield Shot(folder / f"lab6_{index:05d}.nxs", write)


def shots(of: int) -> Iterator[Shot]:
    """All scans of the demo, in the order in which they are measured."""
    for number, name in enumerate(measurements.MEASUREMENTS, start=1):
        yield from small_angle(name, number, of)
    yield from powder(len(measurements.MEASUREMENTS) + 1, of)


def take(shot: Shot, folder: Path) -> bool:
    """Write one file unless it is there already; it appears under its name only when it is complete."""
    target = folder / shot.path
    if target.exists():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".tmp")
    shot.write(unfinished)
    os.replace(unfinished, target)
    return True


def _truncated(exposure: exposures.Exposure, target: Path) -> None:
    """A file whose writer died half-way."""
    exposures.write_exposure(exposure, target)
    os.truncate(target, target.stat().st_size // 2)


def _no_centre(exposure: exposures.Exposure, target: Path) -> None:
    """A file of an instrument whose beam centre was never set."""
    import h5py

    exposures.write_exposure(exposure, target)
    with h5py.File(target, "r+") as file:
        for group in ("sasdata", "sassum"):
            for name in ("Qx", "Qy"):
                del file[f"sasentry01/{group}/{name}"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Write exposures of real measurements into a folder.")
    parser.add_argument("raw", type=Path, help="the storage's folder")
    parser.add_argument("--proposal", default="demo-2026", help="the folder below it (default: %(default)s)")
    parser.add_argument("--interval", type=float, default=2.0, help="seconds between files (default: %(default)s)")
    parser.add_argument("--exposures", type=int, default=40, help="files of each scan (default: %(default)s)")
    options = parser.parse_args()
    for shot in shots(options.exposures):
        if take(shot, options.raw / options.proposal):
            time.sleep(options.interval)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
