"""One writing transaction of the store, however many things it changes."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, update
from sqlalchemy.dialects import postgresql, sqlite

from beamhub.processing.parts import parts
from beamhub.processing.query import Kind
from beamhub.processing.schema import counter, file, heading, proposal, run, sequence

TOUCHED = 5000  # rows that one statement numbers


class Transaction:
    """What it changed gets its number in the feed, and counters move, when it ends."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.execute = connection.execute
        self._changed: dict[str, set[int]] = {"run": set(), "file": set()}
        self._counts: dict[tuple[str, str, str, str], int] = {}
        self._files: dict[str, tuple[int, int]] = {}
        self._headings: dict[tuple[str, Kind, str], tuple[str, int]] = {}

    def touch_run(self, number: int) -> None:
        """This run changed."""
        self._changed["run"].add(number)

    def touch_file(self, number: int) -> None:
        """This file changed."""
        self._changed["file"].add(number)

    def count(self, proposal: str, function: str, rule: str | None, state: str, change: int) -> None:
        """There are ``change`` more runs of this kind."""
        key = (proposal, function, rule or "", state)
        self._counts[key] = self._counts.get(key, 0) + change

    def count_file(self, proposal: str, arrived: int) -> None:
        """There is one more file."""
        files, _ = self._files.get(proposal, (0, 0))
        self._files[proposal] = (files + 1, arrived)

    def head(self, proposal: str, kind: Kind, units: Mapping[str, str], valued: Collection[str] = ()) -> None:
        """A run of this proposal has these, in these units, and these of them with a value that is sorted by."""
        for name, unit in units.items():
            known, n = self._headings.get((proposal, kind, name), (unit, 0))
            self._headings[proposal, kind, name] = (known, n + (name in valued))

    def no_more(self, proposal: str, kind: Kind, names: Collection[str]) -> None:
        """A run of this proposal has no value of these any more."""
        for name in names:
            unit, n = self._headings.get((proposal, kind, name), ("", 0))
            self._headings[proposal, kind, name] = (unit, n - 1)

    def insert_new(self, table: Any, values: dict[str, Any]) -> int | None:
        """Insert a row unless one with its key is there; its id, or None."""
        statement = self._dialect_insert(table).values(values).on_conflict_do_nothing()
        return self.execute(statement.returning(table.c.id)).scalar_one_or_none()

    def put(self, table: Any, values: dict[str, Any], **changed: Any) -> None:
        """Insert a row, or change these columns where its key is there."""
        keys = [column.name for column in table.primary_key]
        statement = self._dialect_insert(table).values(values)
        self.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed))

    def finish(self) -> int | None:
        """Move counters, take the next number, and give it to what changed; None if nothing did.

        All transactions take their locks in the same order: rows, proposals, counters, headings, sequence.
        """
        for name, (more, arrived) in sorted(self._files.items()):
            row = {"name": name, "files": more, "last": arrived, "served": 0}
            self.put(proposal, row, files=proposal.c.files + more, last=arrived)
        for (name, function, rule, state), change in sorted(self._counts.items()):
            if change:
                row = {"proposal": name, "function": function, "rule": rule, "state": state, "n": change}
                self.put(counter, row, n=counter.c.n + change)
        if self._headings:
            rows = [
                {"proposal": name, "kind": kind, "name": of, "unit": unit, "n": n}
                for (name, kind, of), (unit, n) in sorted(self._headings.items())
            ]
            new = self._dialect_insert(heading)
            keys = [column.name for column in heading.primary_key]
            more = new.excluded.n
            self.execute(
                new.on_conflict_do_update(index_elements=keys, set_={"n": heading.c.n + more}, where=more != 0), rows
            )
        if not any(self._changed.values()):
            return None
        number = self.execute(
            update(sequence).values(value=sequence.c.value + 1).returning(sequence.c.value)
        ).scalar_one()
        for table, ids in ((run, self._changed["run"]), (file, self._changed["file"])):
            for part in parts(sorted(ids), TOUCHED):
                self.execute(update(table).where(table.c.id.in_(part)).values(seq=number))
        return int(number)

    def _dialect_insert(self, table: Any) -> Any:
        dialect = postgresql if self.connection.dialect.name == "postgresql" else sqlite
        return dialect.insert(table)
