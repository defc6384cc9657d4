"""Streams of the native protocols: whole, cut off at every event, and malformed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.errors import BadResponse, ContentFiltered, Disconnected, ModelError, ServerError
from opto.llm import Completion
from opto.llm.anthropic_wire import read_fields as read_message
from opto.llm.google_wire import read_fields as read_candidates
from opto.llm.native_events import CandidateEvents, MessageEvents
from opto.llm.sse import EventReader
from opto.llm.stream import Piece
from opto.llm.wire import Answer
from opto.testing.dialects import (
    candidates_events,
    candidates_json,
    message_events,
    message_json,
)

HEAD = Answer(200, b"", {"content-type": "text/event-stream"})
Events = MessageEvents | CandidateEvents
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "sig"}
USE = {"type": "tool_use", "id": "t", "name": "look", "input": {"x": [1, "ü"]}}
MESSAGE = {**message_json(""), "content": [THOUGHT, {"type": "text", "text": "a b c"}, USE]}
MESSAGE["stop_reason"] = "tool_use"
ASKED = {"functionCall": {"name": "look", "args": {"x": 1}}, "thoughtSignature": "c2ln"}
CANDIDATES = candidates_json("a b c")
CANDIDATES["candidates"][0]["content"]["parts"] += [{"text": "hm", "thought": True}, ASKED]
WHOLE: list[tuple[Callable[[Answer], Events], list[bytes], Completion | ModelError]] = [
    (MessageEvents, message_events(MESSAGE), read_message(HEAD, MESSAGE)),
    (CandidateEvents, candidates_events(CANDIDATES), read_candidates(HEAD, CANDIDATES)),
]
both = pytest.mark.parametrize(("make", "events", "whole"), WHOLE)


def read(events: Events, sent: list[bytes]) -> str:
    reader = EventReader()
    return "".join(
        piece.text for data in sent for one in reader.take(data) for piece in events.take(*one)
    )


@both
def test_the_whole_is_what_it_would_have_been_in_one(
    make: Callable[[Answer], Events], events: list[bytes], whole: Completion
) -> None:
    made = make(HEAD)
    assert read(made, events) == "a b c"
    reply = made.completion()
    assert isinstance(reply, Completion)
    assert (reply.choices, reply.usage) == (whole.choices, whole.usage)
    assert (reply.model, reply.id) == (whole.model, whole.id)


@both
def test_what_is_cut_off_is_no_answer(
    make: Callable[[Answer], Events], events: list[bytes], whole: Completion
) -> None:
    del whole
    for end in range(len(events) - (2 if make is MessageEvents else 1)):
        made = make(HEAD)
        read(made, events[:end])
        assert isinstance(made.completion(), Disconnected)


@both
def test_an_error_in_the_middle_is_raised(
    make: Callable[[Answer], Events], events: list[bytes], whole: Completion
) -> None:
    del whole
    said = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    made = make(HEAD)
    with pytest.raises(ServerError, match="Overloaded"):
        read(made, [*events[:2], f"event: error\ndata: {json.dumps(said)}\n\n".encode()])


@pytest.mark.parametrize("data", ["[1]", "{", "3"])
@pytest.mark.parametrize("make", [MessageEvents, CandidateEvents])
def test_what_is_no_object_is_refused(make: Callable[[Answer], Events], data: str) -> None:
    with pytest.raises(BadResponse, match="no JSON object"):
        list(make(HEAD).take("", data))


def test_refusals_come_at_the_end() -> None:
    refused = {**message_json("half"), "stop_reason": "refusal"}
    made = MessageEvents(HEAD)
    read(made, message_events(refused))
    assert isinstance(made.completion(), ContentFiltered)
    blocked = CandidateEvents(HEAD)
    list(blocked.take("", '{"promptFeedback": {"blockReason": "SAFETY"}}'))
    assert isinstance(blocked.completion(), ContentFiltered)


def test_half_an_input_is_given_on_as_it_is() -> None:
    made = MessageEvents(HEAD)
    begun = {"type": "content_block_start", "index": 0, "content_block": {**USE, "input": {}}}
    half = {"type": "input_json_delta", "partial_json": '{"x": '}
    delta = {"type": "content_block_delta", "index": 0, "delta": half}
    ended = {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {}}
    for event in (begun, delta, ended):
        assert not list(made.take("", json.dumps(event)))
    reply = made.completion()
    assert isinstance(reply, Completion)
    assert reply.choices[0].cut
    arguments = reply.choices[0].message.tool_calls[0]["function"]["arguments"]
    assert json.loads(arguments) == {"arguments": '{"x": '}


values = st.recursive(
    st.none() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("type", "index", "delta", "text", "content_block", "message", "partial_json"),
                    *("candidates", "content", "parts", "finishReason", "usage", "stop_reason"),
                ]
            ),
            inner
            | st.sampled_from(["content_block_delta", "content_block_start", "message_delta"]),
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(st.lists(values, max_size=4), st.sampled_from([MessageEvents, CandidateEvents]))
def test_whatever_comes_is_an_answer_or_a_model_error(
    sent: list[Any], make: Callable[[Answer], Events]
) -> None:
    made = make(HEAD)
    pieces: list[Piece] = []
    try:
        for value in sent:
            pieces.extend(made.take("", json.dumps(value)))
        found = made.completion()
    except ModelError as error:
        found = error
    if isinstance(found, ModelError):
        assert str(found)
    else:
        for choice in found.choices:
            said = [piece.text for piece in pieces if piece.index == choice.index]
            assert choice.message.content == "".join(said)
