"""What BeamHub promises, read off the tests that prove it: ``python tests/promised.py`` writes it into the page."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/explanations/promises.md"
BEGIN, END = "<!-- written by tests/promised.py -->\n", "<!-- to here -->\n"
AREAS = (
    "user code",
    "kills of the service",
    "Hub and proxy",
    "batch system",
    "power, disks, clocks",
    "bad input",
    "access",
    "load",
)
NAMES = (
    "CloudEvent CloudEvents Dask Engine Engines Grid HDF5 HTTP Hub Hubs JSON JupyterHub OpenAPI REST SIGKILL Slurm URL"
)
SPELLED = {name.lower(): name for name in NAMES.split(" ")}


class Promises:
    """A plugin of pytest that keeps which tests carry the mark, and how many cases each has."""

    def __init__(self) -> None:
        self.cases: dict[tuple[str, str, str], int] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: Iterable[pytest.Item]) -> None:
        """Count the cases of each promise, whichever rungs run here."""
        for item in items:
            for mark in item.iter_markers("promise"):
                (area,) = mark.args
                key = (area, item.path.relative_to(ROOT).as_posix(), item.name.partition("[")[0])
                self.cases[key] = self.cases.get(key, 0) + 1


def sentence(test: str) -> str:
    """A test's name as the sentence it is."""
    words = [SPELLED.get(word, word) for word in test.removeprefix("test_").split("_")]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def table(cases: dict[tuple[str, str, str], int]) -> str:
    """The part of the page that lists every promise.

    Raises:
        ValueError: a mark names an area that there is not.
    """
    if unknown := {area for area, _, _ in cases} - set(AREAS):
        raise ValueError(f"no such area: {', '.join(sorted(unknown))}; there are: {', '.join(AREAS)}")
    lines = [f"{len(cases)} promises, {sum(cases.values())} cases.\n"]
    for area in AREAS:
        rows = sorted((path, test, n) for (of, path, test), n in cases.items() if of == area)
        lines += [f"\n## {area[:1].upper()}{area[1:]}\n", "\n| promise | cases | tested in |\n|---|--:|---|\n"]
        lines += [f"| {sentence(test)} | {n} | `{path}` |\n" for path, test, n in rows]
    return "".join(lines)


def collected() -> dict[tuple[str, str, str], int]:
    """Every promise with its number of cases: (area, file, test) to cases."""
    files = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.promise(" in path.read_text()]
    promises = Promises()
    code = pytest.main(["--collect-only", "-qq", *map(str, files)], plugins=[promises])
    if code != pytest.ExitCode.OK:
        raise SystemExit(int(code))
    return promises.cases


def page(text: str, listed: str) -> str:
    """The page with its generated part replaced."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{listed}\n{END}{rest.split(END)[1]}"


def listed_anew() -> str:
    """What the page should be, found out by a process of its own, as another pytest may be running in this one."""
    asked = subprocess.run([sys.executable, __file__, "--print"], capture_output=True, text=True, cwd=ROOT)
    if asked.returncode:
        raise RuntimeError(asked.stdout + asked.stderr)
    return asked.stdout.split("\f")[1]


if __name__ == "__main__":
    made = page(PAGE.read_text(), table(collected()))
    if "--print" in sys.argv:
        sys.stdout.write(f"\f{made}\f")
    else:
        PAGE.write_text(made)
