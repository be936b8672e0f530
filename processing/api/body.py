"""JSON that somebody sent: refused with the place that is wrong, before anything is made of it."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from beamhub.processing.errors import BadRequest
from beamhub.processing.query import LARGEST_ID

Model = TypeVar("Model", bound=BaseModel)


def read_json(body: bytes) -> Any:
    """What a body says.

    Raises:
        BadRequest: it is no JSON (NaN is none), is nested too deeply, or holds what no database can.
    """
    try:
        found = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise BadRequest(f"the body is no JSON: {error}") from None
    refuse_unstorable(found)
    return found


def checked(model: type[Model], body: bytes) -> Model:
    """A JSON body as a model's value; types are not guessed: "1" is no number.

    Raises:
        BadRequest: it is not; the message names the first place that is wrong.
    """
    body = body or b"{}"
    read_json(body)
    try:
        return model.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise BadRequest(first_mistake(error)) from None


def first_mistake(error: ValidationError, within: str = "") -> str:
    """Place and reason of the first thing that is wrong."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(part for part in (within, *(str(part) for part in first["loc"])) if part)
    return f"{place or 'the body'}: {first['msg']}"


def refuse_unstorable(found: Any, place: str = "") -> None:
    """Refuse NUL characters and numbers that no database holds, anywhere in what was sent.

    Raises:
        BadRequest: there is one; the message names its place.
    """
    if isinstance(found, str) and "\0" in found:
        raise BadRequest(f"{place or 'the body'} holds a NUL character; leave it out")
    if isinstance(found, int) and abs(found) > LARGEST_ID:
        raise BadRequest(f"{place or 'the body'} is a whole number above {LARGEST_ID}; write a smaller one")
    if isinstance(found, list):
        for number, part in enumerate(found):
            refuse_unstorable(part, f"{place}.{number}".lstrip("."))
    if isinstance(found, dict):
        for name, part in found.items():
            refuse_unstorable(name, f"a name in {place or 'the body'}")
            refuse_unstorable(part, f"{place}.{name}".lstrip(".")[:200])
