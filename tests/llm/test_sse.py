from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.llm.sse import Event, EventReader


def read(*chunks: bytes) -> list[Event]:
    reader = EventReader()
    return [event for chunk in chunks for event in reader.take(chunk)]


@pytest.mark.parametrize(
    ("sent", "events"),
    [
        (b"data: a\n\n", [("", "a")]),
        (b"\xef\xbb\xbfdata:a\r\n\r\n", [("", "a")]),
        (b"data: a\ndata: b\n\n", [("", "a\nb")]),
        (b"event: error\ndata: a\n\ndata: b\n\n", [("error", "a"), ("", "b")]),
        (b": comment\n\nid: 3\nretry: 5\ndata\n\n", [("", "")]),
        (b"data: a\r\rdata: b\r\r:\n", [("", "a"), ("", "b")]),
        (b"event: x\n\n", []),
        (b"data: unfinished", []),
        (b"data: \xff\n\n", [("", "\ufffd")]),
        (b"data:  two spaces\n\n", [("", " two spaces")]),
    ],
)
def test_events(sent: bytes, events: list[tuple[str, str]]) -> None:
    assert read(sent) == events
    assert read(*(sent[at : at + 1] for at in range(len(sent)))) == events


def test_what_is_left_at_the_end() -> None:
    for sent, rest in (
        (b"data: a", ("", "a")),
        (b"data: a\r", ("", "a")),
        (b"data: a\n", ("", "a")),
        (b"data: a\n\n", None),
        (b"", None),
        (b"event: x\n", None),
    ):
        reader = EventReader()
        list(reader.take(sent))
        assert reader.rest() == rest


LINES = st.lists(
    st.sampled_from([b"data: a", b"data:b", b"event: e", b"", b": c", b"data: \xc3\xa4", b"data"]),
    max_size=30,
)


@given(LINES, st.sampled_from([b"\n", b"\r\n", b"\r"]), st.lists(st.integers(1, 9), max_size=99))
def test_chunks_do_not_matter(lines: list[bytes], end: bytes, sizes: list[int]) -> None:
    sent = b"".join(line + end for line in lines) + b":\n"
    chunks, left = list[bytes](), sent
    for size in sizes:
        chunks.append(left[:size])
        left = left[size:]
    assert read(*chunks, left) == read(sent)


@given(st.binary(max_size=300))
def test_any_bytes_are_read(sent: bytes) -> None:
    reader = EventReader()
    events = list(reader.take(sent))
    assert all(isinstance(event.data, str) for event in events)
    reader.rest()
