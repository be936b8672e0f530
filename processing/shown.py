"""Which columns the table of a rule's runs shows at first, as the rule says it and as the API names them."""

from collections.abc import Collection, Iterator, Sequence
from difflib import get_close_matches

OF_ALL = ("scan", "when", "written", "file", "function", "state", "curve", "picture")  # columns of every table
ALIKE = 0.8  # how much a name is like another that is meant


def keys(names: Sequence[str], columns: Collection[str], parameters: Collection[str]) -> list[str]:
    """What the names of a rule's ``table`` mean: a column of every table, of the file, a parameter, else a result.

    Args:
        names: as they are written, ``chi2`` or with its kind ``scalar:chi2``.
        columns: that the rule reads from the file.
        parameters: of its function.

    >>> keys(["file", "sample", "bins", "chi2", "scalar:file"], {"sample"}, {"bins"})
    ['file', 'column:sample', 'parameter:bins', 'scalar:chi2', 'scalar:file']
    """
    return [_key(name, columns, parameters) for name in names]


def _key(name: str, columns: Collection[str], parameters: Collection[str]) -> str:
    if name in OF_ALL or _kind(name):
        return name
    return f"{'column' if name in columns else 'parameter' if name in parameters else 'scalar'}:{name}"


def mistakes(
    names: Sequence[str], columns: Collection[str], parameters: Collection[str] | None
) -> Iterator[tuple[int, str, str]]:
    """Which of these names cannot be meant: its number, what is wrong, and what to write instead.

    What a function's results are called is not known before it runs, so any name that is like no other may be one.

    Args:
        names: of a rule's ``table``.
        columns: that the rule reads from the file.
        parameters: of its function; None: not known.

    >>> list(mistakes(["sampel", "chi2", "chi2"], {"sample"}, None))[0][1:]
    ("there is no column 'sampel'", 'did you mean sample? A result of this name is written scalar:sampel')
    """
    known = {*OF_ALL, *columns, *(parameters or ())}
    places: dict[str, Collection[str] | None] = {"column": columns, "parameter": parameters}
    for number, name in enumerate(names):
        kind, rest = _kind(name), name.partition(":")[2]
        of_kind = places.get(kind)
        near = [] if kind or name in known else get_close_matches(name.lower(), known, 1, ALIKE)
        if not name.strip() or (kind and not rest):
            yield number, "a column without a name", "write its name, or take the line out"
        elif name in names[:number]:
            yield number, f"{name!r} stands there twice", "take one of them out"
        elif of_kind is not None and rest not in of_kind:
            told = ", ".join(f"{kind}:{one}" for one in sorted(of_kind))
            yield number, f"there is no {kind} {rest!r}", f"possible: {told}" if told else f"the rule has no {kind}s"
        elif near:
            yield (
                number,
                f"there is no column {name!r}",
                (f"did you mean {near[0]}? A result of this name is written scalar:{name}"),
            )


def _kind(name: str) -> str:
    kind, colon, _ = name.partition(":")
    return kind if colon and kind in ("column", "parameter", "scalar") else ""
