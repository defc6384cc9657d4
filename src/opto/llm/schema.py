"""JSON schemas: whether a value keeps to one, for the part of the language that models know.

A schema with anything else in it is refused before a model is asked, so that nothing goes
unchecked in silence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from opto.errors import InvalidArgument

Schema = Mapping[str, Any]
_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": lambda value: _number(value) and value % 1 == 0,
    "number": lambda value: _number(value),  # noqa: PLW0108 - it is defined below
}
_CHECKED = frozenset(
    (
        *("type", "enum", "const", "properties", "required", "additionalProperties", "items"),
        *("anyOf", "oneOf", "allOf", "$ref", "pattern", "uniqueItems"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
        *("minLength", "maxLength", "minItems", "maxItems"),
    )
)
_SAID_ONLY = frozenset(
    (
        *("title", "description", "default", "examples", "format", "deprecated", "$comment"),
        *("$schema", "$id", "$defs", "definitions", "propertyOrdering"),
    )
)


def check_schema(schema: object, where: str = "schema") -> None:
    """Raise `InvalidArgument` if the schema says what isn't checked here."""
    if isinstance(schema, bool):
        return
    if not isinstance(schema, Mapping):
        message = f"{where} should be an object, not {type(schema).__name__!r}"
        raise InvalidArgument(message)
    fields = cast("Mapping[str, Any]", schema)
    unknown = sorted(fields.keys() - _CHECKED - _SAID_ONLY)
    if unknown:
        message = f"{where} has {', '.join(unknown)}, which can't be checked; leave it out"
        raise InvalidArgument(message)
    for name, inner in _inner(fields):
        check_schema(inner, f"{where}.{name}")


def _inner(schema: Schema) -> Iterator[tuple[str, Any]]:
    for group in ("properties", "$defs", "definitions"):
        for name, inner in schema.get(group, {}).items():
            yield f"{group}.{name}", inner
    for name in ("items", "additionalProperties"):
        if name in schema:
            yield name, schema[name]
    for name in ("anyOf", "oneOf", "allOf"):
        for at, inner in enumerate(schema.get(name, ())):
            yield f"{name}[{at}]", inner


def faults(value: Any, schema: Any, root: Schema | None = None, where: str = "$") -> list[str]:
    """What is wrong with `value`, in words that a model can learn from; empty if nothing is."""
    top = root if root is not None else cast("Schema", schema)
    try:
        return list(_faults(value, schema, top, where))
    except RecursionError:
        message = "the schema refers to itself without end, or the value is nested too deeply"
        raise InvalidArgument(message) from None


def _faults(value: Any, schema: Any, root: Schema, where: str) -> Iterator[str]:
    if isinstance(schema, bool):
        if not schema:
            yield f"{where}: nothing is allowed here"
        return
    if "$ref" in schema:
        yield from _faults(value, _referred(schema["$ref"], root), root, where)
    yield from _of_value(value, schema, where)
    if "type" in schema and not _is_of_type(value, schema["type"]):
        return
    if isinstance(value, dict):
        yield from _of_object(cast("dict[str, Any]", value), schema, root, where)
    elif isinstance(value, list):
        yield from _of_array(value, schema, root, where)
    elif isinstance(value, str):
        yield from _of_text(value, schema, where)
    elif _number(value):
        yield from _of_number(value, schema, where)
    yield from _of_choices(value, schema, root, where)


def _of_value(value: Any, schema: Schema, where: str) -> Iterator[str]:
    if "type" in schema and not _is_of_type(value, schema["type"]):
        wanted = schema["type"]
        named = wanted if isinstance(wanted, str) else " or ".join(wanted)
        yield f"{where}: expected {named}, got {_kind(value)}"
    elif "enum" in schema and not any(_same(value, one) for one in schema["enum"]):
        yield f"{where}: expected one of {json.dumps(schema['enum'])}, got {_shown(value)}"
    elif "const" in schema and not _same(value, schema["const"]):
        yield f"{where}: expected {json.dumps(schema['const'])}, got {_shown(value)}"


def _of_object(value: dict[str, Any], schema: Schema, root: Schema, where: str) -> Iterator[str]:
    known = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{where}: {name!r} is missing"
    others = schema.get("additionalProperties", True)
    for name, item in value.items():
        if name in known:
            yield from _faults(item, known[name], root, f"{where}.{name}")
        elif others is False:
            yield f"{where}: {name!r} isn't known; there are {', '.join(known)}"
        else:
            yield from _faults(item, others, root, f"{where}.{name}")


def _of_array(value: list[Any], schema: Schema, root: Schema, where: str) -> Iterator[str]:
    yield from _bounded(len(value), schema, "Items", where, "items")
    different = {json.dumps(item, sort_keys=True) for item in value}
    if schema.get("uniqueItems") and len(different) < len(value):
        yield f"{where}: items must differ from each other"
    for at, item in enumerate(value):
        yield from _faults(item, schema.get("items", True), root, f"{where}[{at}]")


def _of_text(value: str, schema: Schema, where: str) -> Iterator[str]:
    yield from _bounded(len(value), schema, "Length", where, "characters")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{where}: {_shown(value)} doesn't match {schema['pattern']!r}"


def _bounded(size: int, schema: Schema, what: str, where: str, unit: str) -> Iterator[str]:
    if size < schema.get(f"min{what}", 0):
        yield f"{where}: needs at least {schema[f'min{what}']} {unit}, has {size}"
    if f"max{what}" in schema and size > schema[f"max{what}"]:
        yield f"{where}: may have {schema[f'max{what}']} {unit}, has {size}"


def _of_number(value: float, schema: Schema, where: str) -> Iterator[str]:
    limits: Mapping[str, Callable[[float], bool]] = {
        "minimum": lambda limit: value >= limit,
        "maximum": lambda limit: value <= limit,
        "exclusiveMinimum": lambda limit: value > limit,
        "exclusiveMaximum": lambda limit: value < limit,
    }
    for name, holds in limits.items():
        if name in schema and not holds(schema[name]):
            yield f"{where}: {value} breaks {name} {schema[name]}"


def _of_choices(value: Any, schema: Schema, root: Schema, where: str) -> Iterator[str]:
    for inner in schema.get("allOf", ()):
        yield from _faults(value, inner, root, where)
    for name in ("anyOf", "oneOf"):
        found = [faults(value, inner, root, where) for inner in schema.get(name, ())]
        fitting = sum(not one for one in found)
        if found and not fitting:
            yield min(found, key=len)[0]
        elif name == "oneOf" and fitting > 1:
            yield f"{where}: fits {fitting} of the alternatives, expected one"


def _referred(reference: str, root: Schema) -> Any:
    if not reference.startswith("#"):
        message = f"a schema can refer to its own parts only, not to {reference!r}"
        raise InvalidArgument(message)
    found: Any = root
    for part in reference.removeprefix("#").strip("/").split("/") if len(reference) > 1 else ():
        name = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or name not in found:
            message = f"the schema has no part {reference!r}"
            raise InvalidArgument(message)
        found = cast("Mapping[str, Any]", found)[name]
    return found


def _is_of_type(value: Any, wanted: Any) -> bool:
    names = (wanted,) if isinstance(wanted, str) else wanted
    return any(_TYPES[name](value) for name in names)


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _same(one: Any, other: Any) -> bool:
    alike = type(one) is type(other) or (_number(one) and _number(other))
    return alike and bool(one == other)


def _kind(value: Any) -> str:
    return next((name for name, holds in _TYPES.items() if holds(value)), type(value).__name__)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}…"
