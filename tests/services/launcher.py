"""The launcher of a test's Hub, made and allowed as an operator does it."""

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from services.slurm import GROUP, HUB


@contextlib.contextmanager
def installed(catalogue: Path, mark: str, traits: str = "") -> Iterator[Path]:
    """What an operator does: the launcher is made, and its rule put where sudo reads it.

    ``traits`` are lines of the Hub's configuration, which are to be inside.
    """
    folder = Path(tempfile.mkdtemp(prefix="bhlauncher", dir="/opt"))
    folder.chmod(0o755)
    rule = Path("/etc/sudoers.d") / f"beamhub-test-{mark}"
    try:
        program = folder / "launcher"
        text = catalogue.read_text().replace("@LAUNCHER@", str(program))
        catalogue.write_text(text)
        command = [Path(sys.executable).parent / "beamhub", "launcher", "--catalogue", catalogue, "--hub", mark]
        command += ["--account", HUB, "--group", GROUP, program]
        if traits:
            (folder / "traits.py").write_text(traits)
            command += ["--config", folder / "traits.py"]
        subprocess.run(command, check=True, capture_output=True)
        subprocess.run(["visudo", "-cqf", f"{program}.sudoers"], check=True)
        shutil.copy(f"{program}.sudoers", rule)
        rule.chmod(0o440)
        yield program
    finally:
        rule.unlink(missing_ok=True)
        shutil.rmtree(folder)
