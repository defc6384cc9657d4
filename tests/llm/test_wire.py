from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.errors import (
    AuthenticationFailed,
    BadRequest,
    BadResponse,
    ContentFiltered,
    ContextTooLong,
    ModelError,
    OversizedResponse,
    QuotaExceeded,
    RateLimited,
    ServerError,
)
from opto.llm.base import Completion
from opto.llm.wire import Answer, read_answer, request_body, retry_after
from opto.testing import completion_json


def read(payload: object, status: int = 200, **headers: str) -> Completion | ModelError:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_answer(Answer(status, body, named))


def completed(payload: object) -> Completion:
    outcome = read(payload)
    assert isinstance(outcome, Completion), outcome
    return outcome


def failed(payload: object, status: int = 200) -> ModelError:
    outcome = read(payload, status)
    assert isinstance(outcome, ModelError), outcome
    return outcome


def choice(**message: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", **message}, "finish_reason": "stop"}]}


def test_a_good_answer_is_read() -> None:
    reply = completed(completion_json("hi there"))
    assert reply.text == "hi there"
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (7, 2)
    assert reply.model == "served"
    assert reply.raw["object"] == "chat.completion"


REFUSALS: list[tuple[int, dict[str, Any], type[ModelError]]] = [
    (400, {"message": "Unsupported parameter: 'n'"}, BadRequest),
    (400, {"code": "context_length_exceeded", "message": "too long"}, ContextTooLong),
    (400, {"message": "prompt is too long: 210000 tokens > 200000"}, ContextTooLong),
    (400, {"message": "Your credit balance is too low"}, QuotaExceeded),
    (400, {"code": "content_filter", "message": "filtered"}, ContentFiltered),
    (401, {"message": "bad key"}, AuthenticationFailed),
    (402, {"message": "pay"}, QuotaExceeded),
    (403, {"message": "not yours"}, AuthenticationFailed),
    (404, {"message": "no such model"}, BadRequest),
    (408, {"message": "slow"}, ServerError),
    (413, {"message": "exceeds the context window"}, ContextTooLong),
    (429, {"message": "slow down"}, RateLimited),
    (429, {"code": "insufficient_quota", "message": "You exceeded your quota"}, QuotaExceeded),
    (500, {"message": "oops"}, ServerError),
    (529, {"message": "overloaded"}, ServerError),
    (302, {"message": "elsewhere"}, BadRequest),
]


@pytest.mark.parametrize(("status", "error", "kind"), REFUSALS)
def test_a_refusal_is_of_its_kind(
    status: int, error: dict[str, Any], kind: type[ModelError]
) -> None:
    outcome = failed({"error": error}, status)
    assert type(outcome) is kind
    assert outcome.status == status
    assert error["message"] in str(outcome)


@pytest.mark.parametrize("body", [b"", b"<html>bad gateway</html>", b"[1]", b'"no"', b"\xff\xfe"])
def test_a_refusal_needs_no_json(body: bytes) -> None:
    assert type(failed(body, 502)) is ServerError


def test_a_long_explanation_is_shortened() -> None:
    assert len(str(failed({"error": {"message": "x" * 100_000}}, 400))) < 1000


BAD: dict[str, Any] = {
    "half a JSON body": json.dumps(completion_json("x")).encode()[:60],
    "HTML": b"<html>hello</html>",
    "empty": b"",
    "blank": b"  \n",
    "an error object": {"error": {"message": "no"}},
    "choices missing": {"id": "x"},
    "choices empty": {"choices": []},
    "choices null": {"choices": None},
    "choices a text": {"choices": "hi"},
    "choice null": {"choices": [None]},
    "choice without message": {"choices": [{"text": "hi"}]},
    "content null": choice(content=None),
    "content a number": choice(content=3),
    "content a list of pictures": choice(content=[{"type": "image_url"}]),
    "content an empty list": choice(content=[]),
    "an array": [1, 2],
    "a text": "hello",
    "null": b"null",
    "deep nesting": b"[" * 100_000,
}


@pytest.mark.parametrize("payload", BAD.values(), ids=BAD.keys())
def test_what_is_no_completion_is_a_bad_response(payload: Any) -> None:
    outcome = failed(payload)
    assert type(outcome) is BadResponse
    assert outcome.status == 200
    assert "HTTP 200" in str(outcome)


def test_a_bad_response_shows_its_beginning_only() -> None:
    said = str(failed(b"<html>" + b"y" * 10_000))
    assert "<html>yyy" in said
    assert len(said) < 500


def test_a_cut_answer_is_oversized() -> None:
    assert type(read_answer(Answer(200, b"{}", {}, cut=True))) is OversizedResponse


def test_parts_are_joined() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "reasoning"}, "b"]
    assert completed(choice(content=parts)).text == "ab"


def test_a_tool_call_needs_no_content() -> None:
    call = {"id": "1", "function": {"name": "f", "arguments": "{}"}}
    message = completed(choice(content=None, tool_calls=[call])).choices[0].message
    assert message.tool_calls == (call,)
    assert message.content == ""


@pytest.mark.parametrize(
    "payload",
    [
        choice(content=None, refusal="I won't"),
        {"choices": [{"message": {"content": ""}, "finish_reason": "content_filter"}]},
        {"choices": [{"message": {"content": None}, "finish_reason": "SAFETY"}]},
    ],
)
def test_a_refusal_of_the_model_is_content_filtered(payload: Any) -> None:
    assert type(failed(payload)) is ContentFiltered


def test_of_several_answers_the_usable_ones_are_kept() -> None:
    filtered = {"index": 0, "message": {"content": ""}, "finish_reason": "content_filter"}
    good = {"index": 1, "message": {"content": "fine"}, "finish_reason": "stop"}
    reply = completed({"choices": [filtered, good]})
    assert [(item.index, item.message.content) for item in reply.choices] == [(1, "fine")]


def test_length_is_returned_and_marked() -> None:
    payload = {"choices": [{"message": {"content": "hal"}, "finish_reason": "length"}]}
    assert completed(payload).choices[0].cut


@pytest.mark.parametrize("last", [b"\xff", b"\\u0000", b"\\ud800"])
def test_text_is_made_storable_and_marked(last: bytes) -> None:
    body = b'{"choices":[{"message":{"content":"a' + last + b'"}}]}'
    message = completed(body).choices[0].message
    assert message.content == "a\ufffd"
    assert message.repaired


def test_usage_of_nan_is_unknown() -> None:
    body = b'{"choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":NaN}}'
    reply = completed(body)
    assert not reply.usage.known
    json.dumps(dict(reply.raw), allow_nan=False)


def test_the_request_id_is_kept() -> None:
    outcome = read({"error": {"message": "no"}}, 500, x_request_id="req-1")
    assert isinstance(outcome, ModelError)
    assert outcome.request_id == "req-1"


@given(st.binary(max_size=200), st.integers(100, 599))
def test_any_bytes_mean_something(body: bytes, status: int) -> None:
    assert isinstance(read_answer(Answer(status, body)), (Completion, ModelError))


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "content", "error", "usage", "text", "refusal"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@given(json_values, st.sampled_from([200, 400, 429, 500]))
def test_any_json_means_something(value: Any, status: int) -> None:
    outcome = read(value, status)
    assert isinstance(outcome, (Completion, ModelError))
    if isinstance(outcome, Completion):
        assert all(isinstance(item.message.content, str) for item in outcome.choices)


# ---- what is sent --------------------------------------------------------------------------------


def test_options_that_are_none_are_not_sent() -> None:
    sent = json.loads(request_body("m", [{"role": "user", "content": "x"}], {"n": 2, "stop": None}))
    assert sent == {"model": "m", "messages": [{"role": "user", "content": "x"}], "n": 2}


def test_unstorable_text_can_be_sent() -> None:
    sent = request_body("m", [{"role": "user", "content": "\ud800"}], {"temperature": float("nan")})
    assert json.loads(sent)["messages"][0]["content"] == "\ufffd"


# ---- advice to wait ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:00 GMT"}, 50.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "-1"}, None),
    ],
)
def test_both_forms_of_retry_after_are_read(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, now=10.0) == seconds
