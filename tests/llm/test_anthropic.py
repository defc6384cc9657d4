"""Anthropic's protocol over real HTTP; what is sent and read is in test_anthropic_wire."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from opto.errors import BadResponse, ContentFiltered, ContextTooLong, QuotaExceeded
from opto.llm import Abilities, structured
from opto.llm.anthropic import AnthropicModel
from opto.testing import Fault, ModelServer
from opto.testing.dialects import message_json
from tests.llm.native import (
    KEY,
    MESSAGES,
    QUICK,
    Asked,
    Row,
    both,
    check_fault,
    common_rows,
)


def client(server: ModelServer, **settings: Any) -> AnthropicModel:
    settings = {"api_key": KEY, "timeout": 20.0, "retry": QUICK, **settings}
    return AnthropicModel(settings.pop("model", "m"), server.url, **settings)


def error(kind: str, text: str) -> dict[str, Any]:
    said = {"type": f"{kind}_error", "message": text}
    return {"type": "error", "error": said, "request_id": "req_1"}


def said(*blocks: dict[str, Any], reason: str = "end_turn") -> dict[str, Any]:
    return {**message_json(""), "content": list(blocks), "stop_reason": reason}


TOO_LONG = error("invalid_request", "prompt is too long: 210001 tokens > 200000 maximum")
POOR = error("invalid_request", "Your credit balance is too low to access the Anthropic API.")
ROWS = {
    **common_rows(message_json("fine"), error),
    "prompt too long": Row(Fault(400, body=TOO_LONG), ContextTooLong, 1),
    "no credit": Row(Fault(400, body=POOR), QuotaExceeded, 1),
    "refusal": Row(Fault(body=said(reason="refusal")), ContentFiltered, 1),
    "content null": Row(Fault(body={**message_json(""), "content": None}), BadResponse, 3),
    "a text that is a number": Row(Fault(body=said({"type": "text", "text": 4})), BadResponse, 3),
    "a block without a type": Row(Fault(body=said({"text": "x"})), BadResponse, 3),
    "NUL": Row(Fault(body=said({"type": "text", "text": "a\x00"})), "a\ufffd", 1),
}


@both
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_fault(row: Row, ask: Asked, caplog: pytest.LogCaptureFixture) -> None:
    check_fault(row, client, ask, "x-api-key", caplog)


@both
def test_a_conversation(ask: Asked) -> None:
    with ModelServer("fine") as server:
        reply = ask(client(server))
        request = server.requests[0]
    assert (reply.text, reply.choices[0].finish_reason) == ("fine", "stop")
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (7, 1)
    assert (reply.model, reply.id) == ("served", "msg_served")
    assert request.path == "/v1/messages"
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in request.headers
    user = {"role": "user", "content": [{"type": "text", "text": "hi"}]}
    expected = {"model": "m", "max_tokens": 4096, "system": "Be brief.", "messages": [user]}
    assert request.body == expected


def test_an_image_a_tool_and_its_result() -> None:
    data = base64.b64encode(b"\x89PNG").decode()
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": [{"type": "text", "text": "what is it?"}, image]}
    ]
    function = {"name": "look", "description": "Look.", "parameters": {"type": "object"}}
    use = {"type": "tool_use", "id": "t1", "name": "look", "input": {"x": 1}}
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    with ModelServer([said(thought, use, reason="tool_use"), message_json("a cat")]) as server:
        llm = client(server)
        tools = [{"type": "function", "function": function}]
        asked = llm(messages=messages, tools=tools).choices[0]
        assert asked.finish_reason == "tool_calls"
        calls = [dict(call) for call in asked.message.tool_calls]
        assert calls[0]["function"] == {"name": "look", "arguments": '{"x": 1}'}
        messages.append({"role": "assistant", "content": "", "tool_calls": calls})
        messages.append({"role": "tool", "tool_call_id": "t1", "content": "fur"})
        assert llm(messages=messages, tools=tools).text == "a cat"
        first, second = (request.body for request in server.requests)
    assert first["tools"] == [
        {"name": "look", "description": "Look.", "input_schema": {"type": "object"}}
    ]
    source = {"type": "base64", "media_type": "image/png", "data": data}
    assert first["messages"][0]["content"][1] == {"type": "image", "source": source}
    assert second["messages"][1] == {"role": "assistant", "content": [thought, use]}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "fur"}
    assert second["messages"][2] == {"role": "user", "content": [result]}


@pytest.mark.parametrize("model", ["claude-3-5-sonnet-latest", "claude-sonnet-4-5-20250929"])
def test_a_schema_is_kept_to(model: str) -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 1}},
        "required": ["n"],
    }

    def answer(request: Any) -> dict[str, Any]:
        if "output_config" in request.body:
            return message_json('{"n": 3}')
        name = request.body["tool_choice"]["name"]
        return said({"type": "tool_use", "id": "t", "name": name, "input": {"n": 3}})

    with ModelServer(answer) as server:
        reply = structured(client(server, model=model), MESSAGES, schema)
        assert (reply.value, reply.asked) == ({"n": 3}, 1)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "said_no", ["output_config: Extra inputs", "output_config.format.schema: no"]
)
def test_a_model_that_cant_be_held_to_a_schema_is_asked_by_a_tool(said_no: str) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}

    def answer(request: Any) -> Any:
        if "output_config" in request.body:
            return Fault(400, body=error("invalid_request", said_no))
        name = request.body["tool_choice"]["name"]
        return said({"type": "tool_use", "id": "t", "name": name, "input": {"n": 3}})

    with ModelServer(answer) as server:
        llm = client(server, model="claude-opus-5")
        for _ in range(2):
            assert structured(llm, MESSAGES, schema).value == {"n": 3}
        assert len(server.requests) == 3  # it is remembered


@both
def test_several_answers_are_several_requests(ask: Any) -> None:
    with ModelServer(["a", "b", "c"]) as server:
        reply = ask(client(server), n=3)
        assert all("n" not in request.body for request in server.requests)
    assert sorted(choice.message.content for choice in reply.choices) == ["a", "b", "c"]
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    assert reply.usage.prompt_tokens == 21


def test_one_failed_answer_of_several_is_the_calls_failure() -> None:
    fault = Fault(400, body=TOO_LONG)
    with ModelServer([message_json("a"), fault]) as server, pytest.raises(ContextTooLong):
        asyncio.run(client(server).acall(messages=MESSAGES, n=2))


def test_the_key_of_the_environment_goes_to_the_service_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    with ModelServer("fine") as server:
        AnthropicModel("m", server.url)(messages=MESSAGES)
        assert "x-api-key" not in server.requests[0].headers
    assert "ANTHROPIC_API_KEY: set" in repr(AnthropicModel("m"))
    assert KEY not in repr(AnthropicModel("m"))


def test_it_says_what_it_can() -> None:
    assert AnthropicModel("m").abilities == Abilities(200_000, json_schema=True, tools=True)
    own = Abilities(1_000_000)
    assert AnthropicModel("m", abilities=own).abilities is own


def test_an_answer_can_be_read_while_it_is_written() -> None:
    with ModelServer("one two three") as server:
        stream = client(server).stream(messages=MESSAGES)
        assert [str(piece) for piece in stream] == ["one ", "two ", "three"]
        assert stream.completion().usage.completion_tokens == 3
        assert server.requests[0].body["stream"] is True


def test_an_option_that_the_model_refuses_is_left_out() -> None:
    refusal = error("invalid_request", "`temperature` is deprecated for this model.")

    def answer(request: Any) -> Any:
        return Fault(400, body=refusal) if "temperature" in request.body else "fine"

    with ModelServer(answer) as server:
        llm = client(server)
        assert llm(messages=MESSAGES, temperature=0.5, top_p=0.9).text == "fine"
        assert llm(messages=MESSAGES, temperature=0.5).text == "fine"
        assert [len(request.body.keys() & {"top_p"}) for request in server.requests] == [1, 1, 0]
