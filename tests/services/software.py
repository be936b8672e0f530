"""What stands for an environment on the nodes: programs of this one, in a folder that every account may read."""

import contextlib
import stat
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

RUNS = """#!/usr/bin/python3
import site, sys
sys.path.insert(0, {purelib!r})
site.addsitedir({purelib!r})
from {module} import main
main()
"""
MODULES = {"jupyterhub-singleuser": "jupyterhub.singleuser", "batchspawner-singleuser": "batchspawner.singleuser"}
STUB = "stub-singleuser"


def closed() -> str:
    """Why other accounts cannot run what is installed here; "" where they can."""
    for folder in reversed(Path(sysconfig.get_path("purelib")).parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            return f"other accounts may not enter {folder}, where this checkout is: clone it elsewhere"
    return ""


@contextlib.contextmanager
def software() -> Iterator[Path]:
    """A folder of programs, run by the system's Python: real notebook servers, and one that is none."""
    with tempfile.TemporaryDirectory(prefix="bhsoftware") as text:
        folder = Path(text)
        folder.chmod(0o755)
        for name, module in MODULES.items():
            (folder / name).write_text(RUNS.format(purelib=sysconfig.get_path("purelib"), module=module))
        (folder / STUB).write_text(f"#!/usr/bin/python3\n{Path(__file__).with_name('stub_server.py').read_text()}")
        for path in folder.iterdir():
            path.chmod(0o755)
        (folder / "python3").symlink_to("/usr/bin/python3")
        yield folder
