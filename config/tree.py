"""The tree of a YAML text: its content, and the line of each part."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode
from ruamel.yaml.scalarbool import ScalarBoolean

from beamhub.config.mistakes import Mistake, dotted


class NotATree(ValueError):
    """The text holds no mapping; ``mistake`` says why."""

    def __init__(self, mistake: Mistake) -> None:
        super().__init__(mistake.what)
        self.mistake = mistake


def parse(text: str) -> tuple[CommentedMap, list[Mistake]]:
    """The tree of a text, and the keys that are there twice (of which the first counts).

    Raises:
        NotATree: it is no YAML, or no mapping.
    """
    yaml = YAML(typ="rt", pure=True)
    yaml.allow_duplicate_keys = True
    try:
        tree, twice = yaml.load(text), list(_twice(YAML(typ="rt", pure=True).compose(text), (), set()))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(part for part in (error.problem, error.context) if part)
        raise NotATree(Mistake(f"no YAML: {what}", line=mark.line + 1 if mark else 0)) from error
    except (YAMLError, ValueError) as error:
        raise NotATree(Mistake(f"no YAML: {error}")) from error
    except RecursionError as error:
        raise NotATree(Mistake("no YAML that can be used: it is nested too deeply")) from error
    if tree is None:
        tree = CommentedMap()
    if not isinstance(tree, CommentedMap):
        raise NotATree(Mistake("the file is no mapping", line=1, suggestion="write keys and values"))
    return tree, twice


def content(tree: CommentedMap) -> dict[str, Any]:
    """The tree without lines and comments, of plain types."""
    plain: dict[str, Any] = _plain(tree)
    return plain


def line_of(tree: Any, where: Sequence[str | int]) -> int:
    """The line, from 1, of the deepest part of a path that is there."""
    line = 1
    for part in where:
        if isinstance(tree, CommentedMap) and (key := _key(tree, part)) is not None:
            line, tree = tree.lc.key(key)[0] + 1, tree[key]
        elif isinstance(tree, CommentedSeq) and isinstance(part, int) and part < len(tree):
            line, tree = tree.lc.item(part)[0] + 1, tree[part]
        else:
            break
    return line


def known_part(tree: Any, where: Sequence[str | int]) -> tuple[str | int, ...]:
    """A model's path without the names of branches of unions, which are no part of the file."""
    found: list[str | int] = []
    for part in where:
        if isinstance(tree, CommentedMap) and (key := _key(tree, part)) is not None:
            tree = tree[key]
        elif isinstance(tree, CommentedSeq) and isinstance(part, int) and part < len(tree):
            tree = tree[part]
        else:
            continue
        found.append(part)
    return tuple(found)


def _key(tree: CommentedMap, part: str | int) -> Any:
    return next((key for key in tree if str(key) == str(part) and key in tree.lc.data), None) if tree.lc.data else None


def _plain(tree: Any) -> Any:
    if isinstance(tree, CommentedMap):
        return {str(key): _plain(value) for key, value in tree.items()}
    if isinstance(tree, CommentedSeq):
        return [_plain(value) for value in tree]
    if isinstance(tree, bool | ScalarBoolean):  # the latter, a number, is a boolean with an anchor
        return bool(tree)
    for kind in (int, float, str):
        if isinstance(tree, kind):
            return kind(tree)
    return tree if tree is None or isinstance(tree, date) else str(getattr(tree, "value", tree))


def _twice(node: Node | None, where: tuple[str | int, ...], seen: set[int]) -> Iterator[Mistake]:
    """The keys that a mapping, or one within it, has twice."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, SequenceNode):
        for number, value in enumerate(node.value):
            yield from _twice(value, (*where, number), seen)
    if isinstance(node, MappingNode):
        names = set()
        for key, value in node.value:
            here = (*where, str(key.value))
            if here[-1] in names:
                yield Mistake("the key is there twice", dotted(here), key.start_mark.line + 1, "keep one of them")
            names.add(here[-1])
            yield from _twice(value, here, seen)
