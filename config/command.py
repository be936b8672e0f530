"""``beamhub``: one command; each room offers its sub-commands, and only the one asked for is imported."""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

from beamhub.config.mistakes import did_you_mean

GROUP = "beamhub.commands"


class Command(Protocol):
    """A sub-command, as an object behind an entry point of the group ``beamhub.commands``."""

    help: str

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare what it can be told."""
        ...

    def run(self, options: argparse.Namespace) -> int:
        """Do it; the exit code."""
        ...


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command; 2 when there is none of that name, or it is not installed."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    known = {point.name: point for point in entry_points(group=GROUP)}
    if not words or words[0] in ("-h", "--help", "help"):
        print(_overview(known))
        return 0
    point = known.get(words[0])
    if point is None:
        return _complain(f"there is no command {words[0]!r}; {did_you_mean(words[0], known)}")
    try:
        command: Command = point.load()
    except ModuleNotFoundError as error:
        room = point.module.split(".")[1]
        extra = {"spawner": "hub"}.get(room, room)
        return _complain(f"{point.name} needs {error.name!r}, which is not installed: pip install 'beamhub[{extra}]'")
    parser = argparse.ArgumentParser(prog=f"beamhub {point.name}", description=command.help)
    command.arguments(parser)
    return command.run(parser.parse_args(words[1:]))


def _overview(known: dict[str, EntryPoint]) -> str:
    names = "\n".join(f"  {name}" for name in sorted(known))
    return f"usage: beamhub COMMAND …\n\ncommands (beamhub COMMAND --help says more):\n{names}"


def _complain(sentence: str) -> int:
    print(f"beamhub: {sentence}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
