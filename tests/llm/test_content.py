from __future__ import annotations

from typing import Any

import pytest

from opto.errors import InvalidArgument
from opto.llm.content import (
    Image,
    ToolCall,
    ToolResult,
    Turn,
    asked_format,
    chosen_tool,
    conversation,
    declared_tools,
    tool_call,
)


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def test_what_is_told_first_is_kept_apart_and_turns_are_joined() -> None:
    told, turns = conversation(
        [
            {"role": "system", "content": "a"},
            {"role": "developer", "content": [{"type": "text", "text": "b"}]},
            user("one"),
            user("two"),
            {"role": "assistant", "content": "three"},
            user(""),
            user("  "),
        ]
    )
    assert told == "a\n\nb"
    assert turns == [Turn("user", ["one", "two"]), Turn("assistant", ["three"])]


def test_nothing_but_system_messages_is_what_the_user_says() -> None:
    assert conversation([{"role": "system", "content": "a"}]) == ("", [Turn("user", ["a"])])
    assert conversation([]) == ("", [])


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (None, []),
        (["a", {"type": "text", "text": "b"}, {"type": "text", "text": " "}], ["a", "b"]),
        ([{"type": "image_url", "image_url": "https://h/i.png"}], [Image(url="https://h/i.png")]),
        (
            [{"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}}],
            [Image("QQ==", "image/png")],
        ),
        (
            [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}],
            [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}],
        ),
        ([{"type": "document", "source": {}}], [{"type": "document", "source": {}}]),
    ],
)
def test_parts(content: Any, parts: list[Any]) -> None:
    _, turns = conversation([user(content)])
    assert turns == ([Turn("user", parts)] if parts else [])


@pytest.mark.parametrize(
    "content", [3, [3], [{"type": "image_url", "image_url": {"url": "data:image/png,raw"}}]]
)
def test_what_is_no_content_is_refused(content: Any) -> None:
    with pytest.raises(InvalidArgument):
        conversation([user(content)])


def test_calls_and_results_know_each_others_names() -> None:
    asked = tool_call("c1", "look", {"x": 1}, {"google": {"s": "t"}})
    spoiled = {"id": "c2", "function": {"name": "see", "arguments": "{not json"}}
    listed = {"id": "c3", "function": {"name": "hear", "arguments": "[1]"}}
    _, turns = conversation(
        [
            {"role": "assistant", "content": None, "tool_calls": [asked, spoiled, listed]},
            {"role": "tool", "tool_call_id": "c1", "content": "fur"},
            {"role": "tool", "tool_call_id": "c9", "name": "own", "content": ["a", "b"]},
        ]
    )
    assert turns[0].parts == [
        ToolCall("c1", "look", {"x": 1}, {"google": {"s": "t"}}),
        ToolCall("c2", "see", {"arguments": "{not json"}),
        ToolCall("c3", "hear", {"arguments": [1]}),
    ]
    assert turns[1].parts == [ToolResult("c1", "look", "fur"), ToolResult("c9", "own", "a\nb")]


def test_options_are_taken_out() -> None:
    options: dict[str, Any] = {
        "tools": [{"type": "function", "function": {"name": "f"}}, {"google_search": {}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "null"}}},
        "kept": 1,
    }
    assert declared_tools(options) == [{"name": "f"}, {"google_search": {}}]
    assert chosen_tool(options) == ("one", "f")
    assert asked_format(options) == ("json_schema", {"type": "null"})
    assert options == {"kept": 1}
    assert (declared_tools(options), chosen_tool(options)) == ([], ("", ""))
    assert asked_format(options) == ("", {})
    assert asked_format({"response_format": {"type": "text"}}) == ("", {})
