from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.errors import InvalidArgument
from opto.llm.content import tool_call
from opto.llm.local_tools import offered, read, told
from opto.llm.schema import check_schema, faults

USER = [{"role": "user", "content": "2 + 3?"}]
NUMBERS = {"type": "object", "properties": {"x": {"type": "integer"}, "y": {}}, "required": ["x"]}
ADD = {"name": "add", "description": "Add two\n  numbers.", "parameters": NUMBERS}
NOW = {"name": "now"}
TOOLS = [{"type": "function", "function": function} for function in (ADD, NOW)]


def schema_of(options: dict[str, Any]) -> Any:
    offer = offered(USER, options)
    assert offer is not None
    assert not offer.options.keys() & {"tools", "tool_choice", "parallel_tool_calls"}
    schema = offer.options["response_format"]["json_schema"]["schema"]
    check_schema(schema)
    return schema


def test_the_prompt() -> None:
    assert told([ADD, NOW], may_answer=True) == (
        "You can use these tools:\n"
        "- add(x: integer, y: any): Add two numbers.\n"
        "- now()\n"
        'To use one, reply with {"tool": "<its name>", "arguments": {}}\n'
        'When no tool is needed, reply with {"answer": "<your answer>"}'
    )
    assert "answer" not in told([NOW], may_answer=False)


CALL, OTHER = {"tool": "add", "arguments": {"x": 1}}, {"tool": "now", "arguments": {}}
ANSWER: dict[str, Any] = {"answer": "5"}
WRONG = {"tool": "add", "arguments": {"x": "one"}}
NAMED = {"type": "function", "function": {"name": "now"}}


@pytest.mark.parametrize(
    ("options", "right", "wrong"),
    [
        ({}, [CALL, OTHER, ANSWER], [WRONG, {}, {"answer": 5}, {"tool": "no", "arguments": {}}]),
        ({"tool_choice": "auto"}, [CALL, ANSWER], [WRONG]),
        ({"tool_choice": "required", "parallel_tool_calls": True}, [CALL, OTHER], [ANSWER]),
        ({"tool_choice": NAMED}, [OTHER], [CALL, ANSWER]),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": NUMBERS}}},
            [CALL, {"answer": {"x": 1}}],
            [ANSWER],
        ),
        ({"response_format": {"type": "json_object"}}, [CALL, {"answer": {}}], [ANSWER]),
    ],
)
def test_the_schema(options: dict[str, Any], right: list[Any], wrong: list[Any]) -> None:
    schema = schema_of({"tools": TOOLS, **options})
    assert [faults(value, schema) for value in right] == [[] for _ in right]
    assert all(faults(value, schema) for value in wrong)


def test_without_tools_nothing_is_offered() -> None:
    assert offered(USER, {"temperature": 0}) is None
    none = offered(USER, {"tools": TOOLS, "tool_choice": "none"})
    assert none is not None
    assert (none.messages, none.options) == (USER, {})


def test_a_tool_that_there_isnt_cant_be_chosen() -> None:
    with pytest.raises(InvalidArgument, match="tool_choice names 'no'"):
        offered(USER, {"tools": TOOLS, "tool_choice": {"function": {"name": "no"}}})


def test_what_went_before_is_told_in_words() -> None:
    call = tool_call("c1", "add", {"x": 1})
    before: list[dict[str, Any]] = [
        *USER,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "3"},
        {"role": "tool", "tool_call_id": "c9", "content": ""},
    ]
    offer = offered(before, {})
    assert offer is not None
    assert [message["content"] for message in offer.messages] == [
        "2 + 3?",
        '{"tool": "add", "arguments": {"x": 1}}',
        "add gave: 3",
        "the tool gave: nothing",
    ]
    assert json.loads(offer.messages[1]["content"]) == CALL


@pytest.mark.parametrize(
    ("text", "content", "names"),
    [
        (json.dumps(CALL), "", ["add"]),
        ('{"tool": "now"}', "", ["now"]),
        ('{"answer": "5"}', "5", []),
        ('{"answer": {"n": 5}}', '{"n": 5}', []),
        ('{"answer": "fi', '{"answer": "fi', []),
        ("[1]", "[1]", []),
        ('{"other": 1}', '{"other": 1}', []),
    ],
)
def test_replies(text: str, content: str, names: list[str]) -> None:
    said, calls = read(text)
    assert (said, [call["function"]["name"] for call in calls]) == (content, names)


@given(st.text(max_size=50) | st.from_regex(r'\{"(tool|answer|arguments)": .{0,20}\}'))
def test_every_reply_is_read(text: str) -> None:
    said, calls = read(text, 3)
    assert isinstance(said, str)
    assert all(call["id"] == "call_3" for call in calls)
