"""Google's protocol without HTTP: tables of what is sent, and of what is read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.errors import InvalidArgument, ModelError, QuotaExceeded, RateLimited
from opto.llm import Completion, Usage
from opto.llm.google_wire import read_answer, request_body, used
from opto.llm.wire import Answer
from opto.testing.dialects import candidates_json

USER = [{"role": "user", "content": "hi"}]
SCHEMA = {"type": "object", "properties": {"x": {"type": "string"}}}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
TOOLS = {"tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": SCHEMA}]}]}


def sent(options: dict[str, Any], messages: Any = None) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(request_body(messages or USER, options))
    return body


def config(**values: Any) -> dict[str, Any]:
    return {"generationConfig": values}


def calling(**values: Any) -> dict[str, Any]:
    return {**TOOLS, "toolConfig": {"functionCallingConfig": values}}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {}),
        ({"max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "seed": 3, "n": 2, "stop": "x"},
         config(maxOutputTokens=5, temperature=0.5, topP=0.9, seed=3, candidateCount=2,
                stopSequences=["x"])),
        ({"stop": ["x"], "temperature": None, "parallel_tool_calls": False},
         config(stopSequences=["x"])),
        ({"safetySettings": [1], "cachedContent": "c"},
         {"safetySettings": [1], "cachedContent": "c"}),
        ({"thinkingConfig": {"thinkingBudget": 0}}, config(thinkingConfig={"thinkingBudget": 0})),
        ({"generationConfig": {"topK": 3}, "top_p": 0.5}, config(topK=3, topP=0.5)),
        ({"tools": [FUNCTION]}, TOOLS),
        ({"tools": [{"googleSearch": {}}]}, {"tools": [{"googleSearch": {}}]}),
        ({"tools": [{"function": {"name": "g", "parameters": {"type": "object"}}}]},
         {"tools": [{"functionDeclarations": [{"name": "g"}]}]}),
        ({"tools": [FUNCTION], "tool_choice": "auto"}, calling(mode="AUTO")),
        ({"tools": [FUNCTION], "tool_choice": "required"}, calling(mode="ANY")),
        ({"tools": [FUNCTION], "tool_choice": "none"}, calling(mode="NONE")),
        ({"tools": [FUNCTION], "tool_choice": {"function": {"name": "f"}}},
         calling(mode="ANY", allowedFunctionNames=["f"])),
        ({"tool_choice": "auto"}, {}),
        ({"response_format": {"type": "json_object"}}, config(responseMimeType="application/json")),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}},
         config(responseMimeType="application/json", responseJsonSchema=SCHEMA)),
    ],
)  # fmt: skip
def test_options(options: dict[str, Any], expected: dict[str, Any]) -> None:
    contents = [{"role": "user", "parts": [{"text": "hi"}]}]
    assert sent(options) == {"contents": contents, **expected}


def test_images() -> None:
    near = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}}
    far = {"type": "image_url", "image_url": {"url": "https://h/i.webp?x=1"}}
    odd = {"type": "image_url", "image_url": {"url": "https://h/i"}}
    own = {"inlineData": {"mimeType": "audio/wav", "data": "QQ=="}}
    body = sent({}, [{"role": "user", "content": [near, far, odd, own]}])
    assert body["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": "QQ=="}},
        {"fileData": {"mimeType": "image/webp", "fileUri": "https://h/i.webp?x=1"}},
        {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://h/i"}},
        own,
    ]


def test_numbers_of_calls_go_back_if_they_came_from_there() -> None:
    asked = {"name": "f", "args": {}, "id": "theirs"}
    parts = [{"functionCall": asked}, {"functionCall": {"name": "f"}}]
    reply = read({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]})
    assert isinstance(reply, Completion)
    calls = reply.choices[0].message.tool_calls
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "r"} for call in calls]
    assistant = {"role": "assistant", "content": None, "tool_calls": calls}
    _, told, answered = sent({}, [*USER, assistant, *results])["contents"]
    assert told["parts"] == [
        {"functionCall": asked},
        {"functionCall": {"name": "f", "args": {}}},
    ]
    given_back = [part["functionResponse"] for part in answered["parts"]]
    result = {"name": "f", "response": {"result": "r"}}
    assert given_back == [{"id": "theirs", **result}, result]


def test_an_unknown_choice_of_tools_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="tool_choice"):
        sent({"tools": [FUNCTION], "tool_choice": "perhaps"})


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        (
            {
                "promptTokenCount": 5,
                "candidatesTokenCount": 4,
                "thoughtsTokenCount": 3,
                "toolUsePromptTokenCount": 2,
                "cachedContentTokenCount": 1,
                "totalTokenCount": 14,
            },
            Usage(7, 7, 14, cached_tokens=1),
        ),
        ({"promptTokenCount": 5, "totalTokenCount": 5}, Usage(5, 0, 5)),
        ({"promptTokenCount": "5"}, Usage(known=False)),
        (None, Usage(known=False)),
    ],
)
def test_tokens(said: Any, usage: Usage) -> None:
    assert used(said) == usage


@pytest.mark.parametrize(
    ("detail", "advised"),
    [
        ({"retryDelay": "34.5s"}, 34.5),
        ({"retryDelay": "soon"}, None),
        ({"retryDelay": 3}, None),
        ("x", None),
    ],
)
def test_the_advised_wait_stands_in_the_body(detail: Any, advised: float | None) -> None:
    body = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [detail]}}
    error = read_answer(Answer(429, json.dumps(body).encode()))
    assert type(error) is RateLimited
    assert error.retry_after == advised


def test_what_the_header_says_goes_before_it_and_a_day_is_no_wait() -> None:
    details: list[Any] = [{"retryDelay": "9s"}]
    body = {"error": {"code": 429, "details": details}}
    error = read_answer(Answer(429, json.dumps(body).encode(), {"retry-after": "3"}))
    assert isinstance(error, RateLimited)
    assert error.retry_after == 3.0
    details.append({"violations": [{"quotaId": "RequestsPerDay"}]})
    assert type(read_answer(Answer(429, json.dumps(body).encode()))) is QuotaExceeded


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
                ["candidates", "content", "parts", "text", "functionCall", "finishReason", "index"]
            ),
            inner | st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY"]),
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(json_values)
def test_every_answer_is_a_completion_or_a_model_error(value: Any) -> None:
    for fields in (
        value,
        {**candidates_json(""), "candidates": [value], "usageMetadata": value},
        {"candidates": [{"content": {"parts": [value]}, "finishReason": value}]},
    ):
        assert is_sound(read(fields))


@given(st.binary(max_size=200), st.sampled_from([200, 400, 429, 500]))
def test_every_sequence_of_bytes_is_read(body: bytes, status: int) -> None:
    assert is_sound(read_answer(Answer(status, body)), status)
