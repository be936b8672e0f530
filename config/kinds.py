"""Mappings whose values are of several kinds, each with a model of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails, InitErrorDetails, PydanticCustomError

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Kinds:
    """Beside a mapping's type: what the JSON schema says of its values, each of which is told by its key ``kind``.

    Args:
        models: the model of each kind; asked when a schema is made.
    """

    models: Callable[[], Mapping[str, type[BaseModel]]]

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The mapping's schema, with that of each kind for its values."""
        values = []
        for kind, model in sorted(self.models().items()):
            named = {"properties": {"kind": {"const": kind}}, "required": ["kind"]}
            values.append({"allOf": [named, handler(model.__pydantic_core_schema__)]})
        return handler(core) | {"additionalProperties": {"anyOf": values}}


def each_of(
    values: Mapping[str, Any], model_of: Callable[[Any], type[Model]], context: Mapping[str, Any] | None = None
) -> dict[str, Model]:
    """Build each value with its own model; the mistakes of all are raised together, each under its name.

    Args:
        values: as they stand in the file.
        model_of: the model of one value; raises PydanticCustomError where it has none.
        context: passed to the validators.

    Raises:
        ValidationError: the mistakes of all values, for use in a field's validator.
    """
    found: dict[str, Model] = {}
    errors: list[InitErrorDetails] = []
    for name, value in values.items():
        try:
            model = model_of(value)
        except PydanticCustomError as error:
            errors.append({"type": error, "loc": (name,), "input": value})
            continue
        try:
            found[name] = model.model_validate(value, context=dict(context or {}))
        except ValidationError as error:
            errors += [_under(name, detail, model) for detail in error.errors()]
    if errors:
        raise ValidationError.from_exception_data("values", errors)
    return found


def _under(name: str, detail: ErrorDetails, model: type[BaseModel]) -> InitErrorDetails:
    """One finding, with the name of the value before its path, and the model's keys for suggestions."""
    told = {**detail.get("ctx", {}), "said": detail["msg"], "known": list(model.model_fields)}
    return {
        "type": PydanticCustomError(detail["type"], "{said}", told),
        "loc": (name, *detail["loc"]),
        "input": detail["input"],
    }
