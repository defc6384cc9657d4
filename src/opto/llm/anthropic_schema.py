"""JSON schemas for Anthropic's service: what its models are held to, or asked for by a tool."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

Schema = Mapping[str, Any]
REPLY_TOOL, VALUE_TOOL = "json_reply", "json_value"
_VALUE = "value"
_HELD = re.compile(r"claude-[a-z]+-(?:4-[5-9]|[5-9]|\d\d)(?:-|$)")
_SAME = ("description", "title", "$ref", "enum", "const", "type")
_CHOICES = frozenset(("anyOf", "oneOf"))
_FORMATS = frozenset(
    ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")
)
_LOOSE = frozenset(("pattern", "default", "examples", "deprecated", "uniqueItems", "$schema")) | {
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "minItems", "maxItems", "$id", "$comment", "propertyOrdering"),
}
"""What the service refuses in a schema. Leaving it out asks for less; the reader checks it."""
_HANDLED = _CHOICES | {
    *("properties", "required", "additionalProperties", "items", "format", "$defs", "definitions"),
}


def native_schema(model: str, schema: Schema) -> dict[str, Any] | None:
    """The schema in the form that `model` can be held to; None if it can't."""
    if not _HELD.match(model):
        return None
    try:
        return _closed(schema)
    except ValueError:
        return None


def tool_of_schema(schema: Schema) -> dict[str, Any]:
    """A tool that takes what the schema says. Tools take objects: another value is put into one."""
    described = "Give the reply."
    if schema.get("type") == "object":
        return {"name": REPLY_TOOL, "description": described, "input_schema": dict(schema)}
    shared = {name: schema[name] for name in ("$defs", "definitions") if name in schema}
    inner = {name: value for name, value in schema.items() if name not in shared}
    wrapped = {"type": "object", "properties": {_VALUE: inner}, "required": [_VALUE], **shared}
    return {"name": VALUE_TOOL, "description": described, "input_schema": wrapped}


def reply_of_tool(call: Mapping[str, Any]) -> str | None:
    """The JSON text that such a tool was called with; None if it is another tool's call."""
    function = cast("Mapping[str, Any]", call["function"])
    if function["name"] == REPLY_TOOL:
        return str(function["arguments"])
    if function["name"] != VALUE_TOOL:
        return None
    arguments = json.loads(function["arguments"])
    return json.dumps(arguments.get(_VALUE), ensure_ascii=False)


def _closed(schema: object) -> dict[str, Any]:
    """The schema, each of its objects closed; raises `ValueError` for what can't be said so."""
    if not isinstance(schema, Mapping) or not schema:
        raise ValueError(schema)
    fields = cast("Mapping[str, Any]", schema)
    if fields.keys() - set(_SAME) - _LOOSE - _HANDLED:
        raise ValueError(sorted(fields))
    found = {name: fields[name] for name in _SAME if name in fields}
    if not found.keys() & {"type", "$ref", "enum", "const"} and not fields.keys() & _CHOICES:
        raise ValueError(sorted(fields))
    for name in ("$defs", "definitions"):
        if name in fields:
            found[name] = {key: _closed(inner) for key, inner in fields[name].items()}
    for name in _CHOICES & fields.keys():
        found["anyOf"] = [_closed(inner) for inner in cast("Sequence[Any]", fields[name])]
    if fields.get("format") in _FORMATS:
        found["format"] = fields["format"]
    if fields.get("type") == "array":
        found["items"] = _closed(fields.get("items"))
    return found | _properties(fields)


def _properties(fields: Mapping[str, Any]) -> dict[str, Any]:
    kinds = fields.get("type")
    if kinds != "object" and not (isinstance(kinds, list) and "object" in kinds):
        return {}
    if not fields.get("properties") or fields.get("additionalProperties", False) is not False:
        raise ValueError(sorted(fields))
    known = cast("Mapping[str, Any]", fields["properties"])
    required = {"required": list(fields["required"])} if fields.get("required") else {}
    closed = {name: _closed(inner) for name, inner in known.items()}
    return {"properties": closed, **required, "additionalProperties": False}
