"""``beamhub orphans``: lists jobs that no server has, and servers whose job is gone; ends the first."""

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from traitlets.config import Config
from traitlets.config.loader import LazyConfigValue

from beamhub.config.mistakes import Mistakes
from beamhub.spawner import hubfile, orphans, reconcile
from beamhub.spawner.compute import Compute
from beamhub.spawner.database import CannotRead, Database, Records
from beamhub.spawner.orphans import Found, Orphan

Parts = dict[str, list[dict[str, Any]]]
HEADS = ("site", "job", "user", "server", "since", "why")
PARTS = {
    "jobs": "Jobs that no server has:",
    "servers": "Servers whose job is gone (the Hub sees it itself, at its next look or start):",
    "unknown": "What could not be known:",
    "foreign": "Jobs of nobody whom the Hub knows (they are left alone, and the exit code does not count them):",
    "removed": "Done:",
}
TOO_MANY = (
    "nothing is ended: the jobs that no server has ({jobs}) are more than the servers that {database} names and that "
    "are still there ({there}). Is it the Hub's database? Name the right one (--db), or say --yes if it is."
)
log = logging.getLogger("beamhub.spawner")


class Orphans:
    """The sub-command."""

    help = (
        "List jobs of this Hub that no server has, and servers whose job is gone, whether the Hub runs or not. It is "
        "run by the Hub's account, in the folder in which the Hub is started. 1: there are some, with --remove: some "
        "are left. Else 2: something could not be known, or nothing was removed since --yes is needed. Else 0. Jobs of "
        "nobody whom the Hub knows are listed, left alone, and not counted."
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare what it can be told."""
        parser.add_argument("-f", "--config", type=Path, default=Path("jupyterhub_config.py"),
                            help="the Hub's configuration, which is run to read it")  # fmt: skip
        parser.add_argument("--db", metavar="URL", help="the Hub's database, where it is started with --db itself")
        parser.add_argument("--remove", action="store_true", help="end the jobs that no server has")
        parser.add_argument("--yes", action="store_true", help=(
            "the database is the right one: end them also where they outnumber the servers that live"))  # fmt: skip
        parser.add_argument("--json", action="store_true", help="say it as JSON")

    def run(self, options: argparse.Namespace) -> int:
        """List, and remove; 1 says that there are some, so whatever goes wrong is 2."""
        said = logging.StreamHandler()
        said.setFormatter(_Printable())
        logging.basicConfig(handlers=[said])
        try:
            return _run(options)
        except BrokenPipeError:
            raise
        except (CannotRead, Mistakes) as error:
            return _complain(str(error))
        except Exception:  # a configuration is anybody's code, and so is a kind of sites
            log.exception("beamhub orphans did not come to its end")
            return 2


def _run(options: argparse.Namespace) -> int:
    config = hubfile.load(options.config)
    compute = getattr(config.JupyterHub.get("spawner_class"), "compute", None)
    if not isinstance(compute, Compute):
        return _complain(f"{options.config} has no configure(c): its servers are not BeamHub's")
    database = _database(config, options.db)
    records = database.read()
    found, done = asyncio.run(_look(compute, database, options))
    parts = {key: [asdict(one) for one in getattr(found, key)] for key in PARTS if key != "removed"}
    if options.remove:
        parts["removed"] = [asdict(one) for one in done or []]
    print((_json if options.json else _tables)(parts, database, records))
    if done is None:
        return _complain(TOO_MANY.format(jobs=len(found.jobs), database=database, there=len(found.there)))
    left = [one for one in done if one.why not in (orphans.REMOVED, orphans.OVER)] if options.remove else found.jobs
    return 1 if left or found.servers else 2 if found.unknown else 0


async def _look(compute: Compute, database: Database, options: argparse.Namespace) -> tuple[Found, list[Orphan] | None]:
    """What was found, and what became of it; None where nothing was removed, since that would be too much."""
    found = await orphans.find(compute, database.read)
    if not options.remove or not found.jobs:
        return found, []
    if len(found.jobs) > len(found.there) and not options.yes:
        return found, None
    await asyncio.sleep(reconcile.SECOND_LOOK)
    return found, await orphans.remove(compute, found, database.read)


def _database(config: Config, named: str | None) -> Database:
    hub = config.JupyterHub
    options = hub.get("db_kwargs")
    if isinstance(options, LazyConfigValue):  # c.JupyterHub.db_kwargs.update(…)
        options = options.get_value({})
    return Database(named or str(hub.get("db_url", "sqlite:///jupyterhub.sqlite")), options)


def _json(parts: Parts, database: Database, records: Records) -> str:
    rows = {key: [{**one, "since": _time(one["since"])} for one in found] for key, found in parts.items()}
    read = {"url": str(database), "servers": len(records.jobs()), "newest": _time(records.newest())}
    return json.dumps({"database": read, **rows})


def _tables(parts: Parts, database: Database, records: Records) -> str:
    newest = (_time(records.newest()) or "").replace("T", " ").removesuffix("+00:00")
    servers = f"servers with a job: {len(records.jobs())}" + (f", the newest asked for at {newest}" if newest else "")
    tables = [f"{PARTS[key]}\n{_table(rows)}" for key, rows in parts.items() if rows]
    return "\n\n".join([f"Database: {_printable(str(database))} ({servers})", *(tables or ["There are none."])])


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
    return _printable(str(one[head] or "-"))


def _time(since: float | None) -> str | None:
    return datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds") if since else None


def _printable(text: str) -> str:
    r"""Without what would move a terminal's cursor, or turn what is written round: people choose names.

    >>> _printable("a\x1b[2J\nb")
    'a?[2J?b'
    """
    return "".join(one if one.isprintable() else "?" for one in text)


def _printable_lines(text: str) -> str:
    return "\n".join(map(_printable, text.split("\n")))


class _Printable(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return _printable_lines(super().format(record))


def _complain(sentence: str) -> int:
    print(f"beamhub orphans: {_printable_lines(sentence)}", file=sys.stderr)
    return 2


command = Orphans()
