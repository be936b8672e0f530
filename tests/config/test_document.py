import textwrap
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict

from beamhub.config.document import read
from beamhub.config.mistakes import Mistakes
from beamhub.config.quantities import Duration, Size, format_duration, format_size, parse_duration, parse_size


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
        "f:1: 'title' is missing @ title",
        "f:4: 'c' is not possible @ parts.x.kind; possible: 'a' or 'b'",
        "f:5: unknown key 'tme' @ parts.x.tme; did you mean time?",
        "f:8: 'soon' is no duration @ parts.y.time; write it like 90s, 30m, 1h30m or 2d",
        "f:9: 'two' should be a valid integer @ numbers[1]",
    ]


def test_mistakes_between_parts_are_told_with_their_lines(tmp_path):
    found = mistakes_of("title: twice\nparts:\n  x: {kind: a}\n", tmp_path)
    assert found == ["f:1: the title is taken @ title; choose another", "f:3: x is taken too @ parts.x"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("title: [", "no YAML"),
        ("title: a\ntitle: b\n", "duplicate key"),
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


@pytest.mark.parametrize("text", ["90s", "1h30m", "2d", "0s"])
def test_durations_are_written_as_they_are_read(text):
    assert parse_duration(format_duration(parse_duration(text))) == parse_duration(text)


@pytest.mark.parametrize(("text", "size"), [("4G", 2**32), ("512M", 2**29), ("1.5GiB", 1610612736), (7, 7)])
def test_sizes_are_powers_of_1024(text, size):
    assert parse_size(text) == size
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize("text", ["", "4X", "-1", None, True, float("nan"), "1h 1q"])
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(ValueError, match="write it like"):
        parse_size(text)
    with pytest.raises(ValueError, match="write it like"):
        parse_duration(text)
