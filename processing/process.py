"""``beamhub process PATH --rule R``: run a rule on files that are already there, here and without the service."""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from beamhub.config.document import read
from beamhub.config.mistakes import Mistakes
from beamhub.processing.library import Library, UnknownFunction, Version
from beamhub.processing.rules import verdict
from beamhub.processing.settings import RuleSettings, Settings
from beamhub.processing.spelling import spelled
from beamhub.processing.storage import OutsideStorage, Storage, resolve_raw, storages_of
from beamhub.processing.warm_child import WarmChild
from beamhub.processing.wire import End
from beamhub.processing.work import Failure, Outcome, Task


class CannotProcess(Exception):
    """What was asked for cannot be started; the message says what to ask for instead."""


@dataclass(frozen=True)
class Job:
    """A rule with all that it needs, and the files that it takes."""

    rule: RuleSettings
    name: str
    storage: Storage
    version: Version
    paths: tuple[str, ...]

    def task(self, number: int, base: Path, output: Path) -> Task:
        """One file's task; it writes into a folder of its own below ``output``."""
        path, record = self.paths[number], self.version.record
        return Task(
            run=number + 1,
            attempt=1,
            function=record.name,
            digest=record.digest,
            module_copy=self.version.module_copy,
            parameters=self.version.with_absolute_paths(self.rule.parameters, base),
            raw=resolve_raw(self.storage.root, path),
            folder=output / path / self.name,
            timeout_s=record.timeout_s,
            memory_bytes=record.memory_bytes,
            within=self.storage.proposal_folder(path),
            provenance={
                "path": path,
                "rule": self.name,
                "storage": self.rule.when.storage,
                "cause": "beamhub process",
            },
        )


class ProcessCommand:
    """The sub-command: ``beamhub process``."""

    help = "run a rule's function here on a file, or on a folder's files, without the service"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """What the sub-command can be told."""
        parser.add_argument("path", type=Path, metavar="PATH", help="a raw file, or a folder of raw files")
        parser.add_argument("--rule", required=True, help="which rule of the configuration")
        parser.add_argument("--dry-run", action="store_true", help="only say which files the rule would take")
        parser.add_argument("--config", type=Path, default=Path("processing.yaml"), help="default: %(default)s")
        parser.add_argument("--output", type=Path, default=Path("processed"), help="default: %(default)s")

    def run(self, options: argparse.Namespace) -> int:
        """0 when every file was processed, 1 when a function failed, 2 when nothing could be started."""
        try:
            settings = read(options.config, Settings).value
            with tempfile.TemporaryDirectory(prefix="beamhub-") as copies:
                job = find_job(settings, options.rule, options.path, Path(copies))
                if options.dry_run:
                    print("\n".join(job.paths))
                    return 0
                return process(job, options.config.resolve().parent, options.output.resolve())
        except (CannotProcess, Mistakes, OutsideStorage, UnknownFunction) as exc:
            print(f"beamhub process: {exc}", file=sys.stderr)
            return 2


def find_job(settings: Settings, name: str, path: Path, copies: Path) -> Job:
    """Find the rule, its function and the files.

    Raises:
        CannotProcess: there is no such rule, or no file that it takes.
        UnknownFunction: there is no such function, or its module does not import.
    """
    if name not in settings.rules:
        raise CannotProcess(f"there is no rule {name!r}; there is: {', '.join(settings.rules) or 'none'}.")
    rule = settings.rules[name]
    storage = storages_of(settings)[rule.when.storage]
    paths = tuple(_paths(storage, name, rule, path))
    library = Library(settings.functions, copies)
    library.refresh()
    if library.current(rule.function) is None and library.mistakes:
        raise CannotProcess("; ".join(f"{place}: {mistake}" for place, mistake in library.mistakes.items()))
    return Job(rule, name, storage, library.find(rule.function), paths)


def process(job: Job, base: Path, output: Path) -> int:
    """Run the function on one file after another, and print how each ended; 1 if one failed."""
    child, failed = WarmChild(), 0
    try:
        for number, path in enumerate(job.paths):
            task = job.task(number, base, output)
            if task.folder.exists():
                raise CannotProcess(f"{task.folder} is there already. Move it away, or name another --output.")
            end = child.run(task)
            failed += isinstance(end, Failure)
            print("\n".join(report(path, task, end)))
    finally:
        child.close()
    return 1 if failed else 0


def report(path: str, task: Task, end: End) -> Sequence[str]:
    """How a run ended, as lines of text."""
    if isinstance(end, Outcome):
        scalars = [
            f"  {name} = {scalar.reason if scalar.value is None else f'{scalar.value:.6g}'} {scalar.unit}".rstrip()
            for name, scalar in end.scalars.items()
        ]
        return [f"{path}: done, {task.folder / end.output}", *scalars]
    failure = [f"{path}: failed ({end.kind}): {end.type}: {end.message}"]
    return failure + [f"  {line}" for line in [*end.traceback, *end.log_tail.splitlines()[-20:]]]


def _paths(storage: Storage, name: str, rule: RuleSettings, path: Path) -> Iterator[str]:
    root = storage.root.resolve()
    real = path.resolve()
    if not real.is_relative_to(root):
        raise CannotProcess(f"{path} is not in the storage of rule {name!r}, which lies in {root}.")
    files = sorted(p for p in real.rglob("*") if p.is_file()) if real.is_dir() else [real]
    taken = [spelled(file.relative_to(root).as_posix()) for file in files]
    verdicts = [(p, verdict(name, rule, rule.when.storage, p)) for p in taken]
    if not any(v.takes for _, v in verdicts):
        raise CannotProcess(
            f"rule {name!r} takes nothing at {path}: {verdicts[0][1].reason if verdicts else 'no files'}."
        )
    yield from (p for p, v in verdicts if v.takes)


command = ProcessCommand()
