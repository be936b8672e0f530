"""``beamhub launcher``: makes the one program that a Hub without rights may run as others, and its rule for sudo."""

import argparse
import io
import json
import os
import re
import stat
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from traitlets.config import Config

from beamhub.config.document import read
from beamhub.spawner import hubfile
from beamhub.spawner.catalogue import Catalogue
from beamhub.spawner.compute import Compute, hub_name
from beamhub.spawner.sites import configured
from beamhub.spawner.sites.batch_config import BatchConfig
from beamhub.spawner.sites.launcher_settings import PARTS, settings_of

ACCOUNT = re.compile(r"[a-z_][a-z0-9_.-]{0,31}")
FIXED = (1980, 1, 1, 0, 0, 0)  # so that the same settings give the same bytes
INSIDE = "beamhub/spawner/sites"
MAIN = f"""import json
from beamhub.spawner.sites import launcher
launcher.main(json.loads(__loader__.get_data("{INSIDE}/settings.json")))
"""
COMPILE = ("-ISm", "compileall", "-q", "-b", "--invalidation-mode", "unchecked-hash")
RULE = """# Made by: beamhub launcher. The Hub may run this one program, without arguments, as people of this group.
Defaults:{account} env_reset, !requiretty, !lecture, !mail_badpass, secure_path="/usr/sbin:/usr/bin:/sbin:/bin"
Defaults:{account} umask=0077, !pam_session, closefrom=3
{account} ALL=(%{group}) NOPASSWD:NOSETENV: {program} ""
"""


def program(settings: dict[str, Any], python: str = "/usr/bin/python3") -> bytes:
    """The program: one file that Python runs as it is, isolated and without what is installed beside it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        parts = {f"{INSIDE}/{name}.py": path.read_bytes() for name, path in PARTS.items()}
        parts |= {f"{folder}/__init__.py": b"" for folder in ("beamhub", "beamhub/spawner", INSIDE)}
        parts |= {"__main__.py": MAIN.encode(), **compiled(parts, python)}
        parts[f"{INSIDE}/settings.json"] = json.dumps(settings).encode()
        for name, content in sorted(parts.items()):
            archive.writestr(zipfile.ZipInfo(name, FIXED), content)
    return f"#!{python} -IS\n".encode() + packed.getvalue()


def compiled(modules: dict[str, bytes], python: str) -> dict[str, bytes]:
    """Modules, by their paths, as this Python loads them without compiling them at each call.

    Another Python takes the modules themselves; so does this one after an update that changed its bytecode.

    Returns:
        Nothing where this computer has no such Python.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, content in modules.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        try:
            subprocess.run([python, *COMPILE, "-s", name, name], check=True, capture_output=True, timeout=60)
        except (OSError, subprocess.SubprocessError):
            return {}
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.pyc")}


def rule(account: str, group: str, path: Path) -> str:
    """The rule for ``/etc/sudoers.d``."""
    return RULE.format(account=account, group=group, program=path)


NOT_READ = (
    "beamhub launcher: {config} was not read: {found} can be changed by others than you, and with it what would run "
    "here, and as your users. Let only root be able to change it and its folders."
)
NOT_INSIDE = (
    "Beware: what {config} says of req_prologue and req_epilogue is not inside. Where it counts, the Hub submits "
    "nothing until the launcher was made with --config {config}."
)


class Launcher:
    """The sub-command."""

    help = (
        "Make the program that a Hub without rights runs as its users, to submit, cancel, read a log and clean up at "
        "batch sites, and the rule that lets it. Make it anew when a batch site in compute.yaml changed."
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare what it can be told."""
        parser.add_argument("--catalogue", type=Path, default=Path("compute.yaml"), help="compute.yaml")
        parser.add_argument("-f", "--config", type=Path, help=(
            "the Hub's jupyterhub_config.py, where c.SlurmSpawner.req_prologue or req_epilogue is to be inside; it is "
            "Python, and run by who runs this"))  # fmt: skip
        parser.add_argument("--hub", default="", help=(
            "the Hub's name in job names, as in configure(c, hub=...); with --config it is known"))  # fmt: skip
        parser.add_argument("--account", default="jupyterhub", help="the account that the Hub runs as")
        parser.add_argument("--group", default="hubusers", help="the group of those who may start servers")
        parser.add_argument("--python", default="/usr/bin/python3", help="the system's Python, 3.9 or newer")
        parser.add_argument("file", type=Path, nargs="?", default=Path("/opt/beamhub/launcher"), help="where to")

    def run(self, options: argparse.Namespace) -> int:
        """Write the program, and the rule beside it."""
        for name in (options.account, options.group):
            if not ACCOUNT.fullmatch(name):
                print(f"beamhub launcher: {name!r} is no name of an account or a group")
                return 2
        hub = options.config.resolve() if options.config else None
        if hub and (found := next(others_may_change(hub), None)):
            print(NOT_READ.format(config=hub, found=found))
            return 1
        compute = Compute(read(options.catalogue, Catalogue))
        config = hubfile.load(hub) if hub else Config()
        if wrong := problems(compute, config):
            print("".join(f"beamhub launcher: {one}\n" for one in wrong), end="")
            return 1
        name = options.hub or _hub_in(config) or hub_name(options.catalogue)
        settings = settings_of(with_traits(compute, config), name)
        if not settings["sites"]:
            print(f"beamhub launcher: {options.catalogue} has no batch site; nothing was made")
            return 1
        path = options.file.absolute()
        try:
            _make(path.parent)
            content = program(settings, options.python)
            _write(path, content, 0o755)
            beside = path.with_name(f"{path.name}.sudoers")
            _write(beside, rule(options.account, options.group, path).encode(), 0o440)
        except OSError as error:
            print(f"beamhub launcher: {error.filename}: {error.strerror}. Run it as root.")
            return 1
        print(f"{path} knows {', '.join(settings['sites'])}. Only root should be able to change it and its folders.")
        print(f"Let the Hub run it:  visudo -cf {beside} && install -m 0440 {beside} /etc/sudoers.d/beamhub")
        if b"launcher.pyc" not in content:
            print(f"{options.python} is not on this computer, so it was not compiled for it: each call takes longer.")
        for folder in others_may_change(path, {0}):
            print(f"Beware: {folder} can be changed by others than root, and with it what runs as your users.")
        for found in others_may_change(options.catalogue.resolve()):
            print(f"Beware: {found} can be changed by others than you, and with it what is inside the next one.")
        if not options.config and (beside := _shell_beside(options.catalogue)):
            print(NOT_INSIDE.format(config=beside))
        return 0


def _hub_in(config: Config) -> str:
    """The Hub's name in job names where a configuration was read that says ``configure(c, hub=...)``; else ""."""
    settings = getattr(getattr(config.JupyterHub.get("spawner_class"), "compute", None), "settings", None)
    return settings.hub if settings else ""


def with_traits(compute: Compute, config: Config) -> Catalogue:
    """The catalogue, its sites with what they take from the Hub's configuration."""
    sites = {name: compute.child_class(name).site_config(config) for name in compute.sites}
    return compute.catalogue.model_copy(update={"sites": sites})


def problems(compute: Compute, config: Config) -> list[str]:
    """What in the Hub's configuration batch sites cannot take, one sentence each."""
    batch = {name: site for name, site in compute.catalogue.sites.items() if isinstance(site, BatchConfig)}
    found = (configured.problems(site, compute.child_class(name), config) for name, site in batch.items())
    return list(dict.fromkeys(sentence for one in found for sentence in one))


def others_may_change(path: Path, accounts: set[int] | None = None) -> Iterator[Path]:
    """The file and those of its folders that others may change than these accounts, by default root and who asks."""
    for one in (path, *path.parents) if path.exists() else ():
        found = one.stat()
        writable = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX
        if found.st_uid not in (accounts or {0, os.geteuid()}) or writable:
            yield one


def _shell_beside(catalogue: Path) -> Path | None:
    """The Hub's configuration beside compute.yaml, where it has lines of shell for jobs; it is not run to know that."""
    beside = catalogue.with_name("jupyterhub_config.py")
    try:
        text = beside.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    lines = (line.partition("#")[0] for line in text.splitlines())
    return beside if any(trait in line for line in lines for trait in configured.SHELL) else None


def _make(folder: Path) -> None:
    """A folder that all accounts may enter, whatever the mask of who makes it; one that is there is left as it is."""
    if not folder.exists():
        _make(folder.parent)
        folder.mkdir()
        folder.chmod(0o755)


def _write(path: Path, content: bytes, mode: int) -> None:
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    new.chmod(mode)
    new.replace(path)


command = Launcher()
