from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.errors import BadRequest, InvalidArgument, MismatchedReply
from opto.llm import Abilities, Completion, OpenAICompatible, astructured, structured
from opto.llm.schema import check_schema, faults
from opto.llm.structured import read_json
from opto.testing import Fault, ModelServer, ScriptedModel

MESSAGES = [{"role": "user", "content": "How many?"}]
SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 0}, "why": {"type": "string"}},
    "required": ["n"],
    "additionalProperties": False,
}
PLAIN = Abilities()


def test_the_strongest_way_is_taken() -> None:
    ways = {
        "json_schema": Abilities(json_schema=True, tools=True, json_object=True),
        "tool": Abilities(tools=True, json_object=True),
        "json_object": Abilities(json_object=True),
        "prompt": PLAIN,
    }
    for way, abilities in ways.items():
        model = ScriptedModel('{"n": 3}', abilities=abilities)
        assert structured(model, MESSAGES, SCHEMA, seed=1).value == {"n": 3}
        (call,) = model.calls
        kind = call.options.get("response_format", {}).get("type")
        found = kind or ("tool" if "tool_choice" in call.options else "prompt")
        assert found == way
        assert call.options["seed"] == 1
        assert ("JSON schema" in call.prompt) is (way in {"json_object", "prompt"})


def test_a_way_that_the_provider_refuses_is_left() -> None:
    refused = BadRequest("HTTP 400: response_format json_schema isn't supported")
    model = ScriptedModel(
        [refused, '{"n": -1}', '{"n": 1}'], abilities=Abilities(json_schema=True, json_object=True)
    )
    found = structured(model, MESSAGES, SCHEMA)
    assert (found.value, found.asked) == ({"n": 1}, 2)
    kinds = [call.options["response_format"]["type"] for call in model.calls]
    assert kinds == ["json_schema", "json_object", "json_object"]
    with pytest.raises(BadRequest, match="unknown model"):
        structured(ScriptedModel([BadRequest("unknown model")]), MESSAGES, SCHEMA)


def test_the_model_is_told_once_what_is_wrong() -> None:
    model = ScriptedModel(['{"n": "3", "x": 1}', '{"n": 3}'])
    found = asyncio.run(astructured(model, MESSAGES, SCHEMA))
    assert (found.value, found.asked, found.reply.text) == ({"n": 3}, 2, '{"n": 3}')
    said = model.calls[1].messages
    assert said[-2] == {"role": "assistant", "content": '{"n": "3", "x": 1}'}
    assert "$.n: expected integer, got string" in said[-1]["content"]
    assert "'x' isn't known" in said[-1]["content"]


def test_then_it_is_an_error_with_the_reply() -> None:
    model = ScriptedModel(["no", "still no"])
    with pytest.raises(MismatchedReply, match="isn't JSON") as caught:
        structured(model, MESSAGES, SCHEMA)
    assert caught.value.reply == "still no"
    assert len(model.calls) == 2


def test_the_arguments_of_a_tool_are_the_reply() -> None:
    call = {"type": "function", "function": {"name": "reply", "arguments": '{"n": 4}'}}
    body = {"choices": [{"message": {"content": None, "tool_calls": [call]}}]}
    with ModelServer(Fault(body=body)) as server:
        llm = OpenAICompatible("m", server.url, abilities=Abilities(tools=True))
        assert structured(llm, MESSAGES, SCHEMA).value == {"n": 4}
        assert server.requests[0].body["tools"][0]["function"]["parameters"] == SCHEMA
        llm.close()


def test_a_users_function_is_asked_by_prompt() -> None:
    asked: list[Any] = []

    def model(messages: Any) -> str:
        asked.extend(messages)
        return '```json\n{"n": 5}\n```'

    found = structured(model, MESSAGES, SCHEMA)
    assert found.value == {"n": 5}
    assert isinstance(found.reply, Completion)
    assert asked[0]["role"] == "system"
    assert json.dumps(SCHEMA) in asked[0]["content"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"n": 1}', {"n": 1}),
        (" [1, 2] ", [1, 2]),
        ("3", 3),
        ('Here you are:\n```json\n{"n": 1}\n```\nBye', {"n": 1}),
        ('Sure! {"n": {"m": 1}} That is it.', {"n": {"m": 1}}),
    ],
)
def test_json_is_found(text: str, value: Any) -> None:
    assert read_json(text) == (value, [])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no",
        '{"n": 1',
        '{"n": 1,}',
        "{'n': 1}",
        '{"n": NaN}',
        '{"a": 1} or {"a": 2}',
        "{" * 40_000,
    ],
)
def test_nothing_is_invented(text: str) -> None:
    value, wrong = read_json(text)
    assert value is None
    assert wrong


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    value, wrong = read_json(text)
    assert value is None or not wrong


# ---- schemas -------------------------------------------------------------------------------------

TREE: dict[str, Any] = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"v": {"type": "number"}, "next": {"$ref": "#/$defs/node"}},
        }
    },
}
CASES: list[tuple[Any, Any, bool]] = [
    ({"type": "integer"}, 3, True),
    ({"type": "integer"}, 3.0, True),
    ({"type": "integer"}, 3.5, False),
    ({"type": "integer"}, True, False),
    ({"type": ["string", "null"]}, None, True),
    ({"type": ["string", "null"]}, 1, False),
    ({"enum": ["a", 1]}, 1.0, True),
    ({"enum": ["a", 1]}, True, False),
    ({"const": {"a": [1]}}, {"a": [1]}, True),
    ({"const": 0}, False, False),
    ({"type": "string", "minLength": 2, "maxLength": 3, "pattern": "^a"}, "ab", True),
    ({"type": "string", "minLength": 2}, "a", False),
    ({"type": "string", "maxLength": 2}, "abc", False),
    ({"type": "string", "pattern": "^a"}, "ba", False),
    ({"minimum": 1, "exclusiveMaximum": 2}, 1, True),
    ({"minimum": 1, "exclusiveMaximum": 2}, 2, False),
    ({"exclusiveMinimum": 1}, 1, False),
    ({"maximum": 1}, 1.5, False),
    ({"type": "array", "items": {"type": "integer"}, "minItems": 1}, [1, 2], True),
    ({"type": "array", "items": {"type": "integer"}}, [1, "2"], False),
    ({"minItems": 1}, [], False),
    ({"maxItems": 1}, [1, 2], False),
    ({"uniqueItems": True}, [{"a": 1}, {"a": 1}], False),
    ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "x", True),
    ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, None, False),
    ({"oneOf": [{"type": "integer"}, {"minimum": 0}]}, 1, False),
    ({"allOf": [{"minimum": 1}, {"maximum": 2}]}, 3, False),
    ({"additionalProperties": {"type": "integer"}}, {"a": 1}, True),
    ({"additionalProperties": {"type": "integer"}}, {"a": "1"}, False),
    (TREE, {"v": 1, "next": {"v": 2}}, True),
    (TREE, {"v": 1, "next": {"v": "2"}}, False),
    (True, {"anything": 1}, True),
    ({"properties": {"a": False}}, {"a": 1}, False),
]


@pytest.mark.parametrize(("schema", "value", "fits"), CASES)
def test_values_are_checked(schema: Any, value: Any, fits: bool) -> None:
    check_schema(schema)
    found = faults(value, schema)
    assert bool(found) is not fits
    assert all(fault.startswith("$") for fault in found)


@pytest.mark.parametrize(
    "schema",
    [
        {"if": {}},
        {"properties": {"a": {"contains": {}}}},
        {"anyOf": [{"not": {}}]},
        [],
        {"items": 3},
    ],
)
def test_what_cannot_be_checked_is_refused_before_a_model_is_asked(schema: Any) -> None:
    model = ScriptedModel("1")
    with pytest.raises(InvalidArgument, match=r"schema"):
        structured(model, MESSAGES, schema)
    assert not model.calls


@pytest.mark.parametrize(
    "schema", [{"$ref": "#"}, {"$ref": "#/$defs/x"}, {"$ref": "http://elsewhere"}]
)
def test_references_that_lead_nowhere_are_refused(schema: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"schema"):
        faults(1, schema)
