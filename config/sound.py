"""The sound rest of a content: it without the parts that are wrong, so that what is left can be checked as well."""

from collections.abc import Mapping
from typing import Any

Where = tuple[str | int, ...]
STAND_IN = "missing"  # for a value that has to be there; what seems wrong because of it is not told


class Sound:
    """A content of which parts are taken out, each by its path in the file.

    Args:
        written: the content as it stands in the file.
    """

    def __init__(self, written: Mapping[str, Any]) -> None:
        self._written = written
        self._unknown: set[Where] = set()
        self._out: set[Where] = set()
        self._stand_ins: set[Where] = set()

    def rest(self) -> dict[str, Any]:
        """What is left."""
        left: dict[str, Any] = self._left(self._written, ())
        return left

    def take_out(self, where: Where, kind: str) -> bool:
        """Go on without a part in which the model found something, of one of pydantic's kinds.

        What has to be there gets a stand-in, and what has one that is wrong too goes with all that it is in.

        Returns:
            Whether that helps: False when it was done before, or when nothing would be left.
        """
        chosen = self._unknown if kind == "extra_forbidden" else self._stand_ins if kind == "missing" else self._out
        if chosen is self._out and where in self._stand_ins:
            where = where[:-1]
        if not where or where in chosen:
            return False
        chosen.add(where)
        return True

    def place(self, where: Where) -> Where:
        """A path of the rest as the path in the file, where lists are longer."""
        found: Where = ()
        for part in where:
            if isinstance(part, int):
                for number in sorted(at[-1] for at in self._out if at[:-1] == found and isinstance(at[-1], int)):
                    part += number <= part  # it stands behind each that is gone
            found = (*found, part)
        return found

    def is_doubtful(self, where: Where) -> bool:
        """Whether a value is wrong or missing at or below a path, so that more may seem wrong there."""
        return any(at[: len(where)] == where for at in self._out | self._stand_ins)

    def only_seems(self, where: Where) -> bool:
        """Whether something that does not fit at a path may do so once what is wrong is mended.

        The value there was not looked at, or it names a part that was taken out.
        """
        value: Any = self._written
        for part in where:
            value = value.get(part) if isinstance(value, Mapping) else value[part]
        return where in self._out | self._stand_ins or any(at[-1] == value for at in self._out)

    def _left(self, value: Any, where: Where) -> Any:
        gone = self._unknown | self._out
        if isinstance(value, list):
            return [self._left(one, (*where, n)) for n, one in enumerate(value) if (*where, n) not in gone]
        if not isinstance(value, Mapping):
            return value
        left = {key: self._left(one, (*where, key)) for key, one in value.items() if (*where, key) not in gone}
        return left | {str(at[-1]): STAND_IN for at in self._stand_ins if at[:-1] == where}
