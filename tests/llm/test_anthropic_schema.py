from __future__ import annotations

import json
from typing import Any

import pytest

from opto.llm.anthropic_schema import native_schema, reply_of_tool, tool_of_schema
from opto.llm.content import tool_call

NEW, OLD = "claude-sonnet-4-5-20250929", "claude-3-5-sonnet-latest"
TEXT = {"type": "string"}


def closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


@pytest.mark.parametrize(
    ("model", "held"),
    [
        (NEW, True),
        ("claude-haiku-4-5", True),
        ("claude-opus-5", True),
        ("claude-fable-5-2", True),
        ("claude-opus-4-10", False),  # such a name may mean anything
        ("claude-opus-4-1-20250805", False),
        ("claude-sonnet-4-20250514", False),
        (OLD, False),
        ("other", False),
    ],
)
def test_newer_models_can_be_held_to_a_schema(model: str, held: bool) -> None:
    assert (native_schema(model, closed(a=TEXT)) is not None) is held


@pytest.mark.parametrize(
    ("schema", "native"),
    [
        ({"type": "object", "properties": {"a": TEXT}}, closed(a=TEXT)),
        (
            {"type": "object", "properties": {"a": TEXT}, "required": ["a"], "title": "T"},
            {**closed(a=TEXT), "required": ["a"], "title": "T"},
        ),
        (closed(a={"type": "integer", "minimum": 1}), closed(a={"type": "integer"})),
        (
            closed(a={"type": "string", "format": "date", "maxLength": 9, "pattern": "x"}),
            closed(a={"type": "string", "format": "date"}),
        ),
        (closed(a={"type": "string", "format": "regex"}), closed(a=TEXT)),
        (
            closed(a={"type": "array", "items": {"enum": [1, "b"]}, "minItems": 3}),
            closed(a={"type": "array", "items": {"enum": [1, "b"]}}),
        ),
        (
            closed(a={"oneOf": [TEXT, {"type": "null"}]}),
            closed(a={"anyOf": [TEXT, {"type": "null"}]}),
        ),
        (
            {**closed(a={"$ref": "#/$defs/b"}), "$defs": {"b": {"type": "number"}}},
            {**closed(a={"$ref": "#/$defs/b"}), "$defs": {"b": {"type": "number"}}},
        ),
    ],
)
def test_the_native_form(schema: dict[str, Any], native: dict[str, Any]) -> None:
    assert native_schema(NEW, schema) == native


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "properties": {"a": TEXT}, "additionalProperties": TEXT},
        closed(a={}),
        closed(a=True),
        closed(a={"type": "array"}),
        closed(a={"allOf": [TEXT]}),
        closed(a={"description": "anything"}),
    ],
)
def test_what_it_cant_say_goes_to_a_tool(schema: dict[str, Any]) -> None:
    assert native_schema(NEW, schema) is None
    assert tool_of_schema(schema)["input_schema"]["type"] == "object"


@pytest.mark.parametrize("value", [{"value": 1}, {"a": "ü"}, [1, 2], "text", None, 3.5])
def test_a_value_goes_through_the_tool_and_back(value: Any) -> None:
    kind = {"dict": "object", "list": "array", "str": "string", "float": "number"}
    schema = {"type": kind.get(type(value).__name__, "null"), "$defs": {"x": TEXT}}
    tool = tool_of_schema(schema)
    given = value if tool["input_schema"] == schema else {"value": value}
    assert tool["input_schema"]["$defs"] == {"x": TEXT}
    text = reply_of_tool(tool_call("1", tool["name"], given))
    assert text is not None
    assert json.loads(text) == value


def test_another_tools_call_is_no_reply() -> None:
    assert reply_of_tool(tool_call("1", "look", {})) is None
