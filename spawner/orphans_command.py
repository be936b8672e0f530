"""``beamhub orphans``: lists jobs that no server has, and servers whose job is gone; ends the first."""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from traitlets.config import Config

from beamhub.config.mistakes import Mistakes
from beamhub.spawner import hubfile, orphans, reconcile
from beamhub.spawner.compute import Compute
from beamhub.spawner.database import CannotRead, Database
from beamhub.spawner.orphans import Found, Orphan

HEADS = ("site", "job", "user", "server", "since", "why")
PARTS = {
    "jobs": "Jobs that no server has:",
    "servers": "Servers whose job is gone (the Hub sees it itself, at its next look or start):",
    "unknown": "What could not be known:",
    "removed": "Done:",
}


class Orphans:
    """The sub-command."""

    help = (
        "List jobs of this Hub that no server has, and servers whose job is gone, whether the Hub runs or not. It is "
        "run by the Hub's account, in the folder in which the Hub is started. 0: there are none, 1: there are, 2: it "
        "could not be known."
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare what it can be told."""
        parser.add_argument("-f", "--config", type=Path, default=Path("jupyterhub_config.py"),
                            help="the Hub's configuration, which is run to read it")  # fmt: skip
        parser.add_argument("--remove", action="store_true", help="end the jobs that no server has")
        parser.add_argument("--json", action="store_true", help="say it as JSON")

    def run(self, options: argparse.Namespace) -> int:
        """List, and remove."""
        try:
            config = hubfile.load(options.config)
        except Mistakes as error:
            return _complain(str(error))
        compute = getattr(config.JupyterHub.get("spawner_class"), "compute", None)
        if not isinstance(compute, Compute):
            return _complain(f"{options.config} has no configure(c): its servers are not BeamHub's")
        try:
            found, done = asyncio.run(_look(compute, _database(config), options.remove))
        except CannotRead as error:
            return _complain(str(error))
        parts = {**asdict(found), **({"removed": [asdict(one) for one in done]} if options.remove else {})}
        print(_json(parts) if options.json else _tables(parts))
        left = [one for one in done if one.why != "removed"] if options.remove else found.jobs
        return 1 if left or found.servers else 2 if found.unknown else 0


async def _look(compute: Compute, database: Database, remove: bool) -> tuple[Found, list[Orphan]]:
    found = await orphans.find(compute, database.read)
    if not remove or not found.jobs:
        return found, []
    await asyncio.sleep(reconcile.SECOND_LOOK)
    return found, await orphans.remove(compute, found, database.read)


def _database(config: Config) -> Database:
    hub = config.JupyterHub
    return Database(str(hub.get("db_url", "sqlite:///jupyterhub.sqlite")), hub.get("db_kwargs"))


def _json(parts: dict[str, Any]) -> str:
    return json.dumps({key: [{**one, "since": _time(one["since"])} for one in rows] for key, rows in parts.items()})


def _tables(parts: dict[str, Any]) -> str:
    tables = [f"{PARTS[key]}\n{_table(rows)}" for key, rows in parts.items() if rows]
    return "\n\n".join(tables) or "There are none."


def _table(rows: Iterable[dict[str, Any]]) -> str:
    lines = [HEADS, *([_word(one, head) for head in HEADS] for one in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADS))]
    return "\n".join(_line(line, widths) for line in lines)


def _line(words: Sequence[str], widths: list[int]) -> str:
    return "  ".join(word.ljust(width) for word, width in zip(words, widths, strict=True)).rstrip()


def _word(one: dict[str, Any], head: str) -> str:
    if head == "since":
        return (_time(one["since"]) or "-").replace("T", " ").removesuffix("+00:00")
    if head == "server" and one["server"] == "":
        return "(default)"
    return str(one[head] or "-")


def _time(since: float | None) -> str | None:
    return datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds") if since else None


def _complain(sentence: str) -> int:
    print(f"beamhub orphans: {sentence}", file=sys.stderr)
    return 2


command = Orphans()
