from __future__ import annotations

import json

from opto.testing import completion_json, stream_events
from opto.testing.replies import DONE, event_bytes


def test_a_reply_in_events() -> None:
    *chunks, last = stream_events("a b")
    assert last == DONE
    read = [json.loads(event_bytes(chunk).removeprefix(b"data: ")) for chunk in chunks]
    deltas = [chunk["choices"][0]["delta"] for chunk in read if chunk["choices"]]
    assert [delta.get("content") for delta in deltas] == ["", "a ", "b", None]
    assert [chunk.get("usage") for chunk in read][-1] == completion_json("a b")["usage"]
    assert len(stream_events("a b", usage=False)) == len(chunks)
    assert event_bytes(b"as it is") == b"as it is"
