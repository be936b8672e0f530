"""``beamhub rules explain PATH``: which rules take a file, why the others do not, and what became of its runs."""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from beamhub.catalog.records import File, Run
from beamhub.config.document import read
from beamhub.config.mistakes import Mistakes
from beamhub.processing.explanation import Facts, explain
from beamhub.processing.library import Library
from beamhub.processing.missing import Absence, look, why_missing
from beamhub.processing.rules import Verdict, fields, verdict
from beamhub.processing.settings import Settings
from beamhub.processing.spelling import spelled
from beamhub.processing.store import Store


class RulesCommand:
    """The sub-command: ``beamhub rules``."""

    help = "say which rules take a file, why the others do not, and what became of it"

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
        sys.stdout.writelines(f"{line}\n" for line in told(settings, storage, path, verdicts))
        return 0 if any(one.takes for one in verdicts) else 1


def locate(settings: Settings, path: Path) -> tuple[str, str] | None:
    """Storage and path below its root, of a file as it lies on this machine; None if it lies in no storage."""
    for name, storage in settings.storages.items():
        root, whole = storage.root.resolve(), path.absolute().parent.resolve() / path.name
        if whole.is_relative_to(root):
            return name, spelled(str(whole.relative_to(root)))
    return None


def told(settings: Settings, storage: str, path: str, verdicts: list[Verdict]) -> Iterator[str]:
    """What the service would say of the file, where its store can be read here; else why not."""
    try:
        store = Store.look(settings.store)
    except FileNotFoundError:
        return  # the service never ran: there is nothing to say of a file
    try:
        newest = next((file for file in store.find_files(path) if file.storage == storage), None)
        full = store.file(newest.id) if newest else None
        yield from _sentences(settings, store, storage, path, full, verdicts)
    except SQLAlchemyError as error:
        yield f"what became of it is not known here, since the store cannot be read: {error.args[0]}"
    finally:
        store.close()


def _sentences(
    settings: Settings, store: Store, storage: str, path: str, file: File | None, verdicts: list[Verdict]
) -> list[str]:
    if file is None or not file.runs:
        lies = look(settings.storages[storage].root, path) if file is None else "unknown"
        return why_missing(Absence(storage, path, file, verdicts, lies), settings)
    run = store.run(file.runs[-1].id) or file.runs[-1]
    return explain(_facts(settings, store, run, verdicts), datetime.now(UTC))


def _facts(settings: Settings, store: Store, run: Run, verdicts: list[Verdict]) -> Facts:
    mine = next((one for one in verdicts if one.rule == run.rule), None)
    with tempfile.TemporaryDirectory(prefix="beamhub-") as copies:
        library = Library(settings.functions, Path(copies))
        library.refresh()
        return Facts(run, store.standing(run.id), mine, library.current(run.function))


command = RulesCommand()
