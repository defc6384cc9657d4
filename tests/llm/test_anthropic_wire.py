"""Anthropic's protocol without HTTP: tables of what is sent, and of what is read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.errors import InvalidArgument, ModelError
from opto.llm import Completion, Usage
from opto.llm.anthropic_wire import read_answer, request_body, used
from opto.llm.wire import Answer
from opto.testing.dialects import message_json

USER = [{"role": "user", "content": "hi"}]
SCHEMA = {"type": "array", "items": {"type": "string"}}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
TOOL = {"name": "f", "input_schema": {"type": "object"}}
OWN = {"type": "bash_20250124", "name": "bash"}


def choosing(choice: str) -> dict[str, Any]:
    return {"tools": [TOOL], "tool_choice": {"type": choice}}


def sent(options: dict[str, Any], messages: Any = None, model: str = "m") -> dict[str, Any]:
    body: dict[str, Any] = json.loads(request_body(model, messages or USER, options))
    return body


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"max_tokens": 4096}),
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"max_completion_tokens": 6, "max_tokens": 5}, {"max_tokens": 6}),
        ({"temperature": 0.5, "top_k": 3}, {"temperature": 0.5, "top_k": 3}),
        ({"temperature": None, "seed": 3, "n": 2, "presence_penalty": 1}, {}),
        ({"stop": "x"}, {"stop_sequences": ["x"]}),
        ({"stop": ["x", "y"]}, {"stop_sequences": ["x", "y"]}),
        ({"stop": None}, {}),
        ({"tools": [FUNCTION]}, {"tools": [TOOL]}),
        ({"tools": [OWN]}, {"tools": [OWN]}),
        ({"tools": [FUNCTION], "tool_choice": "auto"}, choosing("auto")),
        ({"tools": [FUNCTION], "tool_choice": "required"}, choosing("any")),
        ({"tools": [FUNCTION], "tool_choice": "none"}, choosing("none")),
        (
            {"tools": [FUNCTION], "tool_choice": {"function": {"name": "f"}}},
            {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "f"}},
        ),
        (
            {"tools": [FUNCTION], "parallel_tool_calls": False},
            {"tools": [TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        ),
        ({"tool_choice": "auto", "parallel_tool_calls": False}, {}),
        ({"response_format": {"type": "text"}}, {}),
        (
            {"response_format": {"type": "json_object"}},
            {"system": "Reply with one JSON object and nothing else, no code fence."},
        ),
        ({"thinking": {"type": "adaptive"}}, {"thinking": {"type": "adaptive"}}),
    ],
)
def test_options(options: dict[str, Any], expected: dict[str, Any]) -> None:
    message = {"role": "user", "content": [{"type": "text", "text": "hi"}]}
    common = {"model": "m", "max_tokens": 4096, "messages": [message]}
    assert sent(options) == {**common, **expected}


def test_a_schema_is_a_tool_that_must_be_called() -> None:
    asked = {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}}
    body = sent(asked)
    assert body["tool_choice"] == {"type": "tool", "name": "json_value"}
    assert body["tools"][0]["input_schema"]["properties"] == {"value": SCHEMA}
    both = sent({**asked, "tools": [FUNCTION]})
    assert both["tool_choice"] == {"type": "any"}
    assert [tool["name"] for tool in both["tools"]] == ["f", "json_value"]


def test_a_newer_model_is_held_to_it() -> None:
    asked = {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}}
    body = sent({**asked, "output_config": {"effort": "low"}}, model="claude-sonnet-4-5")
    assert body["output_config"] == {
        "effort": "low",
        "format": {"type": "json_schema", "schema": SCHEMA},
    }
    assert "tools" not in body


def test_results_of_tools_stand_before_what_the_user_says() -> None:
    call = {"id": "a", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "assistant", "content": "so", "tool_calls": [call]},
        {"role": "user", "content": "well?"},
        {"role": "tool", "tool_call_id": "a", "content": ""},
    ]
    assistant, user = sent({}, messages)["messages"]
    assert [block["type"] for block in assistant["content"]] == ["text", "tool_use"]
    assert user["content"] == [
        {"type": "tool_result", "tool_use_id": "a"},
        {"type": "text", "text": "well?"},
    ]


def test_an_image_by_its_address() -> None:
    part = {"type": "image_url", "image_url": {"url": "https://h/i.png"}}
    body = sent({}, [{"role": "user", "content": [part]}])
    source = {"type": "url", "url": "https://h/i.png"}
    assert body["messages"][0]["content"] == [{"type": "image", "source": source}]


def test_an_unknown_choice_of_tools_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="tool_choice"):
        sent({"tools": [FUNCTION], "tool_choice": "perhaps"})


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("pause_turn", "pause_turn"),
        (None, None),
        (4, None),
    ],
)
def test_reasons(reason: Any, finish: str | None) -> None:
    reply = read({**message_json("x"), "stop_reason": reason})
    assert isinstance(reply, Completion)
    assert reply.choices[0].finish_reason == finish
    assert reply.choices[0].cut == (finish == "length")


def test_an_answer_may_be_empty() -> None:
    reply = read({**message_json(""), "content": []})
    assert isinstance(reply, Completion)
    assert reply.text == ""


def test_thoughts_and_unknown_blocks_are_no_text() -> None:
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "server_tool_use", "id": "x"},
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b"},
    ]
    reply = read({**message_json(""), "content": blocks})
    assert isinstance(reply, Completion)
    assert reply.text == "ab"


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        (
            {
                "input_tokens": 5,
                "cache_read_input_tokens": 3,
                "cache_creation_input_tokens": 2,
                "output_tokens": 4,
            },
            Usage(10, 4, 14, cached_tokens=3),
        ),
        ({"input_tokens": 5, "cache_read_input_tokens": None, "output_tokens": 4}, Usage(5, 4, 9)),
        ({"input_tokens": "5", "output_tokens": 4}, Usage(0, 4, 4, known=False)),
        ({"input_tokens": 5}, Usage(5, 0, 5, known=False)),
        (None, Usage(known=False)),
        ([], Usage(known=False)),
    ],
)
def test_tokens(said: Any, usage: Usage) -> None:
    assert used(said) == usage


def read(fields: Any) -> Completion | ModelError:
    return read_answer(Answer(200, json.dumps(fields).encode()))


def is_sound(found: Completion | ModelError, status: int = 200) -> bool:
    """Whether it is an error, or a completion whose answers are text, of a status that has some."""
    if isinstance(found, ModelError):
        return bool(str(found))
    texts = [choice.message.content for choice in found.choices]
    return status == 200 and bool(texts) and all(isinstance(text, str) for text in texts)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "text", "content", "stop_reason", "usage", "input_tokens", "name", "input"]
            ),
            inner | st.sampled_from(["text", "tool_use", "thinking", "refusal"]),
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(json_values)
def test_every_answer_is_a_completion_or_a_model_error(value: Any) -> None:
    assert is_sound(read(value))
    assert is_sound(
        read({**message_json(""), "content": [value], "stop_reason": value, "usage": value})
    )


@given(st.binary(max_size=200), st.sampled_from([200, 400, 403, 429, 500, 529]))
def test_every_sequence_of_bytes_is_read(body: bytes, status: int) -> None:
    assert is_sound(read_answer(Answer(status, body)), status)
