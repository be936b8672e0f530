"""``beamhub rules explain PATH``: which rules take a file, and why the others do not."""

import argparse
import sys
from pathlib import Path

from beamhub.config.document import read
from beamhub.config.mistakes import Mistakes
from beamhub.processing.rules import fields, verdict
from beamhub.processing.settings import Settings
from beamhub.processing.spelling import spelled


class RulesCommand:
    """The sub-command: ``beamhub rules``."""

    help = "say which rules take a file, and why the others do not"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """What the sub-command can be told."""
        parser.add_argument("what", choices=["explain"])
        parser.add_argument("path", type=Path, metavar="PATH", help="the file, whether it is there or not")
        parser.add_argument("--config", type=Path, default=Path("processing.yaml"), help="default: %(default)s")

    def run(self, options: argparse.Namespace) -> int:
        """0 if a rule takes it, 1 if none does, 2 if the question cannot be answered."""
        try:
            settings = read(options.config, Settings).value
        except Mistakes as error:
            sys.stderr.write(f"{error}\n")
            return 2
        found = locate(settings, options.path)
        if found is None:
            roots = ", ".join(str(storage.root) for storage in settings.storages.values())
            sys.stderr.write(f"{options.path} lies in no storage; their roots are {roots}\n")
            return 2
        storage, path = found
        proposal = fields(settings.storages[storage], path).get("proposal", "none")
        sys.stdout.write(f"storage {storage}, proposal {proposal}, path {path}\n")
        verdicts = [verdict(name, rule, storage, path) for name, rule in settings.rules.items()]
        for one in verdicts:
            sys.stdout.write(f"{'takes it' if one.takes else 'does not'}: {one.rule}: {one.reason}\n")
        return 0 if any(one.takes for one in verdicts) else 1


def locate(settings: Settings, path: Path) -> tuple[str, str] | None:
    """Storage and path below its root, of a file as it lies on this machine; None if it lies in no storage."""
    for name, storage in settings.storages.items():
        root, whole = storage.root.resolve(), path.absolute().parent.resolve() / path.name
        if whole.is_relative_to(root):
            return name, spelled(str(whole.relative_to(root)))
    return None


command = RulesCommand()
