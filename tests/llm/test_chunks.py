"""Whatever a server streams comes to a completion or to a typed error."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from opto.errors import ModelError
from opto.llm import Completion
from opto.llm.chunks import Chunks
from opto.llm.reading import Reader
from opto.llm.stream import Piece, Sink
from opto.llm.wire import Answer
from opto.testing import stream_events
from opto.testing.replies import event_bytes

HEAD = Answer(200, b"", {"content-type": "text/event-stream; charset=utf-8"})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "delta", "content", "index", "error", "usage", "tool_calls"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
EVENTS = st.lists(
    st.sampled_from([event_bytes(event) for event in stream_events("a b")])
    | JSON.map(lambda value: b"data: " + json.dumps(value).encode() + b"\n\n")
    | st.binary(max_size=20),
    max_size=12,
)


def read(*chunks: bytes) -> tuple[list[str], Completion | ModelError | None]:
    pieces: list[str] = []

    def put(item: object) -> None:
        assert isinstance(item, Piece)
        pieces.append(item.text)

    reader = Reader(Sink(put), 1.0, Chunks)
    assert reader.begin(HEAD)
    try:
        for chunk in chunks:
            if not reader.take(chunk):
                break
    except ModelError as error:
        return pieces, error
    return pieces, reader.outcome(HEAD)


@settings(max_examples=300)
@given(EVENTS)
def test_any_stream_is_an_answer_or_a_typed_error(events: list[bytes]) -> None:
    pieces, outcome = read(*events)
    assert isinstance(outcome, (Completion, ModelError))
    if isinstance(outcome, Completion):
        assert sorted("".join(pieces)) == sorted(
            "".join(choice.message.content for choice in outcome.choices)
        )


@given(st.data())
def test_a_stream_that_is_cut_anywhere_is_never_taken_for_whole(data: Any) -> None:
    sent = b"".join(event_bytes(event) for event in stream_events("one two three"))
    end = sent.index(b'"finish_reason": "stop"')
    at = data.draw(st.integers(0, end))
    pieces, outcome = read(sent[:at])
    assert isinstance(outcome, ModelError)
    assert "one two three".startswith("".join(pieces))
    assert read(sent[:at], sent[at:]) == read(sent)


def test_what_is_no_stream_is_left_to_others() -> None:
    for head in (Answer(500, b"", HEAD.headers), Answer(200, b"", {})):
        reader = Reader(Sink(lambda _: None), 1.0, Chunks)
        assert not reader.begin(head)
        assert reader.outcome(head) is None
