import textwrap
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict

from beamhub.config.document import LARGEST, read
from beamhub.config.mistakes import Mistakes
from beamhub.config.quantities import Duration, Size


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["a", "b"]
    time: Duration = 1.0
    memory: Size = 1


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str
    parts: dict[str, Part] = {}
    numbers: list[int] = []

    def mistakes(self):
        if self.title == "twice":
            yield ("title",), "the title is taken", "choose another"
            yield ("parts", "x"), "x is taken too", ""


def mistakes_of(text: str, folder: Path) -> list[str]:
    path = folder / "file.yaml"
    path.write_text(textwrap.dedent(text))
    with pytest.raises(Mistakes, match=r"file\.yaml") as caught:
        read(path, Whole)
    return [mistake.text(Path("f")) for mistake in caught.value.mistakes]


def test_a_right_file_is_read(tmp_path):
    (tmp_path / "file.yaml").write_text("title: t\nparts: {x: {kind: a, time: 1h30m, memory: 4G}}\n")
    value = read(tmp_path / "file.yaml", Whole).value
    assert (value.parts["x"].time, value.parts["x"].memory) == (5400.0, 4 * 2**30)


@pytest.mark.promise("bad input")
def test_all_mistakes_are_told_at_once_with_line_and_suggestion(tmp_path):
    found = mistakes_of(
        """\
        titel: t
        parts:
          x:
            kind: c
            tme: 1s
          y:
            kind: a
            time: soon
        numbers: [1, two]
        """,
        tmp_path,
    )
    assert found == [
        "f:1: unknown key 'titel' @ titel; did you mean title?",
        "f:1: 'title' is missing @ title; write title: …",
        "f:4: 'c' is not possible @ parts.x.kind; possible: 'a' or 'b'",
        "f:5: unknown key 'tme' @ parts.x.tme; did you mean time?",
        "f:8: 'soon' is no duration @ parts.y.time; write it like 90s, 30m, 1h30m or 2d",
        "f:9: 'two' should be a whole number @ numbers[1]",
    ]


def test_mistakes_between_parts_are_told_with_their_lines(tmp_path):
    found = mistakes_of("title: twice\nparts:\n  x: {kind: a}\n", tmp_path)
    assert found == ["f:1: the title is taken @ title; choose another", "f:3: x is taken too @ parts.x"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("title: [", "no YAML"),
        ("title: a\ntitle: b\n", "the key is there twice @ title; keep one of them"),
        ("title: " + "[" * 300 + "]" * 300, "nested too deeply"),
        ("title: a\n---\ntitle: b", "no YAML"),
        ("- a\n", "no mapping"),
        ("\x00", "no YAML"),
        ("", "'title' is missing"),
    ],
)
def test_what_is_no_yaml_mapping_is_one_clear_mistake(text, told, tmp_path):
    (found,) = mistakes_of(text, tmp_path)
    assert told in found


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(Mistakes, match="no such file"):
        read(tmp_path / "none.yaml", Whole)


def test_every_key_that_is_there_twice_is_told_beside_the_other_mistakes(tmp_path):
    text = "title: t\nparts:\n  x: {kind: a, kind: b}\n  x: {kind: a}\nnumbers: [1, two]\n"
    assert mistakes_of(text, tmp_path) == [
        "f:3: the key is there twice @ parts.x.kind; keep one of them",
        "f:4: the key is there twice @ parts.x; keep one of them",
        "f:5: 'two' should be a whole number @ numbers[1]",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("title: 2026-11-23", "2026-11-23 should be text @ title; put it in quotes"),
        ("title: 11006262", "11006262 should be text @ title; put it in quotes"),
        ("title:", "nothing should be text @ title"),
        ("{title: t, numbers: {a: 1}}", "a mapping should be a list @ numbers"),
        ("{title: t, parts: [a]}", "a list should be a mapping @ parts"),
        ("{title: t, parts: {x: no}}", "'no' should be a mapping @ parts.x"),
        ("{title: t, numbers: [1.5]}", "1.5 should be a whole number @ numbers[0]"),
    ],
)
def test_a_value_of_the_wrong_kind_is_told_without_jargon(text, told, tmp_path):
    assert mistakes_of(text, tmp_path) == [f"f:1: {told}"]


def test_what_is_read_is_of_plain_types_without_the_readers_marks(tmp_path):
    class Values(BaseModel):
        values: list[Any]

    (tmp_path / "file.yaml").write_text("values: [&a true, &b 0x10, 1.50, 'x', *a, {k: ~}]\n")
    values = read(tmp_path / "file.yaml", Values).value.values
    assert values == [True, 16, 1.5, "x", True, {"k": None}]
    assert [type(value) for value in values] == [bool, int, float, str, bool, dict]


def test_keys_that_are_merged_in_count_as_written(tmp_path):
    text = "x: &x {kind: a}\ntitle: t\nparts:\n  y: {<<: *x, time: soon}\n"
    found = mistakes_of(text, tmp_path)
    assert found == [
        "f:1: unknown key 'x' @ x; possible: numbers, parts, title",
        "f:4: 'soon' is no duration @ parts.y.time; write it like 90s, 30m, 1h30m or 2d",
    ]


@pytest.mark.parametrize("make", ["folder", "latin1", "huge"])
def test_what_cannot_be_read_is_a_mistake_of_the_whole_file(make, tmp_path):
    path = tmp_path / "file.yaml"
    if make == "folder":
        path.mkdir()
    else:
        path.write_bytes("title: é".encode("latin1") if make == "latin1" else b"#" * (LARGEST + 1))
    with pytest.raises(Mistakes, match=r"file\.yaml: the file (cannot be read|is not UTF-8|is larger)"):
        read(path, Whole)
