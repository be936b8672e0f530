import textwrap
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from beamhub.config.document import read
from beamhub.config.mistakes import Mistakes


class Box(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str
    size: int = 1

    @model_validator(mode="after")
    def _fits(self) -> "Box":
        if self.size > 9:
            raise PydanticCustomError("size", "too large; take 9")
        return self


class Shelf(BaseModel):
    boxes: dict[str, Box] = Field(min_length=1)
    order: list[str] = []

    def mistakes(self) -> Any:
        for number, name in enumerate(self.order):
            if name not in self.boxes:
                yield ("order", number), f"there is no box {name!r}", ""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("boxes: {a: {title: A, sice: 1}}\norder: [b]", ["1: unknown key 'sice' @", "2: there is no box 'b' @"]),
        ("boxes: {a: {}}\norder: [a, b]", ["1: 'title' is missing @", "2: there is no box 'b' @ order[1]"]),
        ("boxes: {a: {title: 5}}\norder: [a, b]", ["1: 5 should be text @", "2: there is no box 'b' @ order[1]"]),
        ("boxes: {a: 5, c: {title: C}}\norder: [a, b]", ["1: 5 should be a mapping @", "2: there is no box 'b' @"]),
        (
            "boxes: {a: {title: A}}\norder: [5, b, 6, a, c]",
            ["2: 5 should", "2: there is no box 'b' @ order[1]", "2: 6 should", "2: there is no box 'c' @ order[4]"],
        ),
        ("boxes: {a: {title: A, sice: 1, size: 10}}", ["1: too large @ boxes.a; take 9", "1: unknown key 'sice' @"]),
        ("boxes: {a: 5}\norder: [a]", ["1: 5 should be a mapping @ boxes.a"]),
        ("order: [a, 5]", ["1: 'boxes' is missing @ boxes", "1: 5 should be text @ order[1]"]),
        ("boxes: 5\norder: [a]", ["1: 5 should be a mapping @ boxes"]),
    ],
    ids=[
        "an unknown key", "a missing key", "a wrong value that has to be there", "a wrong part that is named elsewhere",
        "wrong values in a list", "what only shows in a part that is whole", "the only part", "no part",
        "nothing to go on with",
    ],
)  # fmt: skip
@pytest.mark.promise("bad input")
def test_what_else_is_wrong_is_told_too_and_nothing_that_only_seems_so(tmp_path, text, told):
    (tmp_path / "shelf.yaml").write_text(textwrap.dedent(text))
    with pytest.raises(Mistakes) as caught:
        read(tmp_path / "shelf.yaml", Shelf)
    found = [mistake.text(tmp_path).partition(":")[2] for mistake in caught.value.mistakes]
    assert len(found) == len(told), found
    for one in told:
        assert any(line.startswith(one) for line in found), (one, found)
