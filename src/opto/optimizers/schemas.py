"""JSON schemas of values, for models that honour them."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast, get_args, get_origin

from opto.optimizers.hints import hints_of
from opto.optimizers.problem import Entries, Entry

_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


def schema_of_object(
    properties: Mapping[str, Any], *, required: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return the schema of an object with these properties and no others; all are required."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties if required is None else required),
        "additionalProperties": False,
    }


def schemas_of(entries: Entries) -> dict[str, dict[str, Any]]:
    """Return the schema of a new value for each entry."""
    return {name: _schema_of_entry(entry) for name, entry in entries.items()}


def closed(schema: Mapping[str, Any]) -> bool:
    """Whether every value in the schema has a type and every object all of its fields.

    Strict providers demand that.
    """
    if schema.get("type") == "object":
        properties = schema.get("properties", {})
        if schema.get("additionalProperties") is not False:
            return False
        if set(schema.get("required", ())) != set(properties):
            return False
    return bool(schema) and all(
        closed(part) for part in (*schema.get("properties", {}).values(), *_items(schema))
    )


def _items(schema: Mapping[str, Any]) -> list[Any]:
    return [schema["items"]] if "items" in schema else []


def _schema_of_entry(entry: Entry) -> dict[str, Any]:
    return {"type": "string"} if entry.kind == "code" else schema_of(entry.data)


def schema_of(value: object) -> dict[str, Any]:
    """Return the schema of values of the type of this one; empty where JSON has no such type."""
    if isinstance(value, enum.Enum):
        return {"type": "string", "enum": [member.name for member in type(value)]}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _schema_of_fields(value)
    if hasattr(value, "tolist"):  # an array
        return schema_of(cast("Any", value).tolist())
    if isinstance(value, (list, tuple)):
        items = cast("Sequence[object]", value)
        same = len({type(item) for item in items}) == 1
        return {"type": "array", "items": schema_of(items[0]) if same else {}}
    if isinstance(value, dict) or hasattr(type(value), "model_validate"):
        return {"type": "object"}
    kind = next((name for known, name in _TYPES.items() if isinstance(value, known)), None)
    return {"type": kind} if kind else {}


def _schema_of_fields(value: Any) -> dict[str, Any]:
    """Return the schema of some of the fields of a dataclass; those not given stay."""
    hints = hints_of(type(value))
    fields = [item.name for item in dataclasses.fields(value) if item.init]
    properties = {name: _schema_of_field(hints.get(name), getattr(value, name)) for name in fields}
    return schema_of_object(properties, required=[])


def _schema_of_field(hint: Any, value: object) -> dict[str, Any]:
    if get_origin(hint) is Literal and all(isinstance(choice, str) for choice in get_args(hint)):
        return {"type": "string", "enum": list(get_args(hint))}
    plain = isinstance(hint, type) and get_origin(hint) is None  # list[str] is a type on 3.10
    return schema_of(value) if plain and isinstance(value, cast("type", hint)) else {}
