"""The JSON schema of a kind of file, for the completion and the checks of editors."""

from typing import Any

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_of(model: type[BaseModel], title: str) -> dict[str, Any]:
    """The schema of what people may write in a file that is read as ``model``."""
    return {"$schema": DIALECT, **model.model_json_schema(), "title": title}


def or_bare(core: CoreSchema, handler: GetJsonSchemaHandler, member: str) -> JsonSchemaValue:
    """The schema of a model that people may write as a mapping, or as the value of one of its members.

    Args:
        core: as ``__get_pydantic_json_schema__`` gets it.
        handler: likewise.
        member: which value may stand alone; in the mapping it may be left out.
    """
    reference = handler(core)
    schema = handler.resolve_ref_schema(reference)
    if "anyOf" not in schema:
        mapping = dict(schema)
        mapping["required"] = [name for name in mapping.get("required", []) if name != member]
        schema.clear()
        schema["anyOf"] = [mapping, mapping["properties"][member]]
    return reference
