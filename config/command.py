"""``beamhub``: one command; each room offers its sub-commands, and only the one asked for is imported."""

import argparse
import os
import select
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points, version
from typing import Protocol

from beamhub.config.mistakes import Mistakes, did_you_mean

GROUP = "beamhub.commands"
EXTRAS = {"spawner": "hub", "server_extension": "server"}  # of the rooms whose extra has another name


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
    """Run one sub-command; 2 when there is none of that name, or what it needs is not installed."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    known = {point.name: point for point in entry_points(group=GROUP)}
    if not words or words[0] in ("-h", "--help", "help"):
        print(_overview(known))
        return 0
    if words[0] == "--version":
        print(f"beamhub {version('beamhub')}")
        return 0
    if words[0] not in known:
        return _complain(f"there is no command {words[0]!r}; {did_you_mean(words[0], known)}")
    return _run(known[words[0]], words[1:])


def needs(point: EntryPoint, error: ModuleNotFoundError) -> str:
    """What to say where the room behind an entry point lacks a package: which one, and the extra that brings it."""
    room = "demo" if point.name == "demo" else point.module.split(".")[1]
    extra = EXTRAS.get(room, room)
    return f"{point.name} needs {error.name}, which is not installed: pip install 'beamhub[{extra}]'"


def _run(point: EntryPoint, words: list[str]) -> int:
    try:
        command: Command = point.load()
    except ModuleNotFoundError as error:
        return _complain(needs(point, error))
    parser = argparse.ArgumentParser(prog=f"beamhub {point.name}", description=command.help)
    command.arguments(parser)
    try:
        code = command.run(parser.parse_args(words))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        if not _nobody_reads(sys.stdout.fileno()):
            raise  # another pipe or connection of the command's broke
        # whoever read it has seen enough; nothing is left to flush at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Mistakes as error:
        print(error, file=sys.stderr)
        return 1


def _nobody_reads(handle: int) -> bool:
    """Whether what is written there reaches nobody any more."""
    poll = select.poll()
    poll.register(handle, 0)  # asks for nothing; that it is closed is always told
    return bool(poll.poll(0))


def _overview(known: dict[str, EntryPoint]) -> str:
    names = "\n".join(f"  {name}" for name in sorted(known))
    return f"usage: beamhub COMMAND …\n\ncommands (beamhub COMMAND --help says more):\n{names}"


def _complain(sentence: str) -> int:
    print(f"beamhub: {sentence}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
