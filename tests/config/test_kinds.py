from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from beamhub.config.document import read
from beamhub.config.kinds import Kinds, each_of
from beamhub.config.mistakes import Mistakes


class Cat(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: str
    lives: int = 9


class Dog(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: str
    legs: int


KINDS = {"cat": Cat, "dog": Dog}


def model_of(value):
    if value["kind"] not in KINDS:
        raise PydanticCustomError("kind", "unknown kind; possible: cat, dog")
    return KINDS[value["kind"]]


class Zoo(BaseModel):
    animals: Annotated[dict[str, Any], Kinds(lambda: KINDS)]

    @field_validator("animals")
    @classmethod
    def _each(cls, animals: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        return each_of(animals, model_of, info.context)


def test_each_value_is_read_by_the_model_of_its_kind():
    zoo = Zoo.model_validate({"animals": {"tom": {"kind": "cat"}, "rex": {"kind": "dog", "legs": 3}}})
    assert zoo.animals == {"tom": Cat(kind="cat", lives=9), "rex": Dog(kind="dog", legs=3)}


def test_the_mistakes_of_all_values_are_told_with_their_places_and_the_keys_of_their_kind(tmp_path):
    path = tmp_path / "zoo.yaml"
    path.write_text(
        "animals:\n  tom: {kind: cat, live: 1}\n  rex: {kind: dog}\n  kit: {kind: fox}\n  max: {kind: dog, legs: x}\n"
    )
    with pytest.raises(Mistakes, match="zoo") as caught:
        read(path, Zoo)
    assert str(caught.value).replace(str(path), "f").splitlines() == [
        "f:2: unknown key 'live' @ animals.tom.live; did you mean lives?",
        "f:3: 'legs' is missing @ animals.rex.legs; write legs: …",
        "f:4: unknown kind @ animals.kit; possible: cat, dog",
        "f:5: 'x' should be a whole number @ animals.max.legs",
    ]


def test_it_is_one_error_for_a_model_that_reads_no_file():
    with pytest.raises(ValidationError, match="unknown kind"):
        Zoo.model_validate({"animals": {"kit": {"kind": "fox"}}})


def test_the_schema_says_what_each_kind_takes():
    first, second = Zoo.model_json_schema()["properties"]["animals"]["additionalProperties"]["anyOf"]
    assert first["allOf"][0]["properties"] == {"kind": {"const": "cat"}}
    assert second["allOf"][0]["properties"] == {"kind": {"const": "dog"}}
