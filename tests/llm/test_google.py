"""Google's protocol over real HTTP; what is sent and read is in test_google_wire."""

from __future__ import annotations

from typing import Any

import pytest

from opto.errors import (
    AuthenticationFailed,
    BadResponse,
    ContentFiltered,
    ContextTooLong,
    QuotaExceeded,
    RateLimited,
)
from opto.llm import Abilities, structured
from opto.llm.google import GeminiModel
from opto.testing import Fault, ModelServer
from opto.testing.dialects import candidates_json
from tests.llm.native import KEY, MESSAGES, QUICK, Asked, Row, both, check_fault, common_rows


def client(server: ModelServer, **settings: Any) -> GeminiModel:
    settings = {"api_key": KEY, "timeout": 20.0, "retry": QUICK, **settings}
    return GeminiModel("m", server.url, **settings)


def error(kind: str, text: str, *details: dict[str, Any], code: int = 400) -> dict[str, Any]:
    said = {"code": code, "message": text, "status": kind.upper(), "details": list(details)}
    return {"error": said}


def ended(reason: str, *parts: dict[str, Any]) -> dict[str, Any]:
    content = {"role": "model", "parts": list(parts)}
    return {**candidates_json(""), "candidates": [{"content": content, "finishReason": reason}]}


PER_DAY = {"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}
TOO_LONG = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
ROWS = {
    **common_rows(candidates_json("fine"), error),
    "too many tokens": Row(Fault(400, body=error("invalid_argument", TOO_LONG)), ContextTooLong, 1),
    "a wrong key": Row(
        Fault(400, body=error("invalid_argument", "API key not valid.")), AuthenticationFailed, 1
    ),
    "the day's quota": Row(
        Fault(429, body=error("resource_exhausted", "quota", PER_DAY)), QuotaExceeded, 1
    ),
    "a long wait in the body": Row(
        Fault(429, body=error("resource_exhausted", "quota", {"retryDelay": "3600s"})),
        RateLimited,
        1,
    ),
    "a list around the refusal": Row(
        Fault(400, body=[error("invalid_argument", "API key expired.")]), AuthenticationFailed, 1
    ),
    "a blocked prompt": Row(
        Fault(body={"promptFeedback": {"blockReason": "SAFETY"}}), ContentFiltered, 1
    ),
    "safety": Row(Fault(body=ended("SAFETY")), ContentFiltered, 1),
    "recitation": Row(Fault(body=ended("RECITATION", {"text": "half"})), ContentFiltered, 1),
    "a malformed call": Row(Fault(body=ended("MALFORMED_FUNCTION_CALL")), BadResponse, 3),
    "no parts": Row(Fault(body=ended("STOP")), BadResponse, 3),
    "no candidates": Row(Fault(body={"candidates": []}), BadResponse, 3),
    "a text that is a number": Row(Fault(body=ended("STOP", {"text": 4})), BadResponse, 3),
    "NUL": Row(Fault(body=ended("STOP", {"text": "a\x00"})), "a\ufffd", 1),
    "parts": Row(Fault(body=ended("STOP", {"text": "a"}, {"text": "b"})), "ab", 1),
    "thoughts": Row(
        Fault(body=ended("STOP", {"text": "hm", "thought": True}, {"text": "b"})), "b", 1
    ),
    "no room": Row(Fault(body=ended("MAX_TOKENS")), "", 1),
}


@both
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_fault(row: Row, ask: Asked, caplog: pytest.LogCaptureFixture) -> None:
    check_fault(row, client, ask, "x-goog-api-key", caplog)


@both
def test_a_conversation(ask: Asked) -> None:
    with ModelServer("fine") as server:
        reply = ask(client(server))
        request = server.requests[0]
    assert (reply.text, reply.choices[0].finish_reason) == ("fine", "stop")
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (7, 1)
    assert (reply.model, reply.id) == ("served", "served")
    assert request.path == "/v1/models/m:generateContent"
    assert KEY not in request.path
    assert request.body == {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
    }


def test_a_tool_and_its_result() -> None:
    messages: list[dict[str, Any]] = [{"role": "user", "content": "what is it?"}]
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}}
    function = {"name": "look", "description": "Look.", "parameters": schema}
    use = {"functionCall": {"name": "look", "args": {"x": 1}}, "thoughtSignature": "c2ln"}
    with ModelServer([ended("STOP", use), candidates_json("a cat")]) as server:
        llm = client(server)
        tools = [{"type": "function", "function": function}]
        asked = llm(messages=messages, tools=tools).choices[0]
        assert asked.finish_reason == "tool_calls"
        calls = [dict(call) for call in asked.message.tool_calls]
        assert calls[0]["function"] == {"name": "look", "arguments": '{"x": 1}'}
        messages.append({"role": "assistant", "content": "", "tool_calls": calls})
        messages.append({"role": "tool", "tool_call_id": calls[0]["id"], "content": "fur"})
        assert llm(messages=messages, tools=tools).text == "a cat"
        first, second = (request.body for request in server.requests)
    declared = {"name": "look", "description": "Look.", "parametersJsonSchema": schema}
    assert first["tools"] == [{"functionDeclarations": [declared]}]
    assert second["contents"][1] == {"role": "model", "parts": [use]}
    result = {"functionResponse": {"name": "look", "response": {"result": "fur"}}}
    assert second["contents"][2] == {"role": "user", "parts": [result]}


def test_a_schema_is_kept_to() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    with ModelServer(candidates_json('{"n": 3}')) as server:
        reply = structured(client(server), MESSAGES, schema)
        assert (reply.value, reply.asked) == ({"n": 3}, 1)
        config = server.requests[0].body["generationConfig"]
    assert config == {"responseMimeType": "application/json", "responseJsonSchema": schema}


def test_a_model_that_cant_be_held_to_a_schema_is_told_of_it() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    unknown = "Unknown name \"responseJsonSchema\" at 'generation_config': Cannot find field."

    def answer(request: Any) -> Any:
        if "responseJsonSchema" in request.body["generationConfig"]:
            return Fault(400, body=error("invalid_argument", unknown))
        return '{"n": 3}'

    with ModelServer(answer) as server:
        llm = client(server)
        for _ in range(2):
            assert structured(llm, MESSAGES, schema).value == {"n": 3}
        assert len(server.requests) == 3  # it is remembered
        told = server.requests[-1].body["systemInstruction"]["parts"][0]["text"]
    assert told.startswith("Be brief.\n\nReply with one JSON value that keeps to this JSON schema:")


def test_several_answers_come_in_one_reply() -> None:
    one, other = (candidates_json(text)["candidates"][0] for text in "ab")
    body = {**candidates_json(""), "candidates": [one, {**other, "index": 1}]}
    with ModelServer(body) as server:
        reply = client(server)(messages=MESSAGES, n=2)
        assert server.requests[0].body["generationConfig"] == {"candidateCount": 2}
    assert [choice.message.content for choice in reply.choices] == ["a", "b"]


def test_it_says_what_it_can() -> None:
    assert GeminiModel("m").abilities.json_schema
    own = Abilities(4096)
    assert GeminiModel("m", abilities=own).abilities is own


def test_an_answer_can_be_read_while_it_is_written() -> None:
    with ModelServer("one two three") as server:
        stream = client(server).stream(messages=MESSAGES)
        assert [str(piece) for piece in stream] == ["one ", "two ", "three"]
        assert stream.completion().usage.completion_tokens == 3
        assert server.requests[0].path == "/v1/models/m:streamGenerateContent?alt=sse"
        assert "stream" not in server.requests[0].body
