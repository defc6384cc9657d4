"""Streams of Anthropic's and Google's protocols, put together to what they'd be in one answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

from opto.errors import BadResponse, Disconnected, ModelError
from opto.llm import anthropic_wire, google_wire
from opto.llm.base import Completion
from opto.llm.storable import storable
from opto.llm.stream import Piece
from opto.llm.wire import Answer, bad_answer, stated_error

Fields = dict[str, Any]


class MessageEvents:
    """Assembles one answer of Anthropic's Messages API; ``message_stop`` is its end."""

    def __init__(self, head: Answer) -> None:
        self._head = head
        self._message: Fields = {}
        self._blocks: dict[int, Fields] = {}
        self._inputs: dict[int, str] = {}
        self.ended = False

    def take(self, event: str, data: str) -> Iterator[Piece]:
        """The pieces in an event."""
        fields = _read(self._head, data)
        kind = fields.get("type") or event
        if kind == "error" or fields.get("error"):
            raise stated_error(self._head, fields)
        at = fields.get("index") if isinstance(fields.get("index"), int) else 0
        index = cast("int", at)
        if kind == "message_start":
            self._message = dict(_object(fields.get("message")))
        elif kind == "content_block_start":
            self._blocks[index] = dict(_object(fields.get("content_block")))
        elif kind == "content_block_delta":
            text = self._add(index, _object(fields.get("delta")))
            if text:
                yield Piece(text)
        elif kind == "message_delta":
            self._message |= _object(fields.get("delta"))
            usage = {**_object(self._message.get("usage")), **_object(fields.get("usage"))}
            self._message["usage"] = usage
        self.ended = kind == "message_stop"

    def completion(self) -> Completion | ModelError:
        """The whole."""
        if not self.ended and not self._message.get("stop_reason"):
            message = "the stream ended before the answer did"
            return Disconnected(message, status=self._head.status)
        for index, text in self._inputs.items():
            try:
                self._blocks[index]["input"] = storable(json.loads(text or "{}"))
            except (ValueError, RecursionError):
                # What was cut off is given on as it is, for the caller to see.
                self._blocks[index]["input"] = {"arguments": text}
        content = [self._blocks[index] for index in sorted(self._blocks)]
        return anthropic_wire.read_fields(self._head, {**self._message, "content": content})

    def _add(self, index: int, delta: Fields) -> str:
        """Add to a block; return the text that is new in the answer."""
        block = self._blocks.setdefault(index, {"type": "text", "text": ""})
        for name in ("text", "thinking", "signature"):
            new = delta.get(name)
            if isinstance(new, str) and isinstance(block.get(name, ""), str):
                block[name] = block.get(name, "") + new
        new = delta.get("partial_json")
        if isinstance(new, str):
            self._inputs[index] = self._inputs.get(index, "") + new
        text = delta.get("text")
        if text is not None and not isinstance(text, str):
            message = f"a piece of the answer is of type {type(text).__name__!r}, not text"
            raise BadResponse(message)
        return text or ""


class CandidateEvents:
    """Assembles one answer of Google's protocol, each of whose events is a part of the whole.

    It has no end of its own: it is whole when each candidate has its ``finishReason``.
    """

    ended = False

    def __init__(self, head: Answer) -> None:
        self._head = head
        self._fields: Fields = {}
        self._candidates: dict[int, Fields] = {}

    def take(self, event: str, data: str) -> Iterator[Piece]:
        """The pieces in an event."""
        fields = _read(self._head, data)
        if event == "error" or fields.get("error"):
            raise stated_error(self._head, fields)
        listed = fields.pop("candidates", None)
        self._fields |= fields
        for item in cast("list[object]", listed) if isinstance(listed, list) else []:
            yield from self._add(_object(item))

    def completion(self) -> Completion | ModelError:
        """The whole."""
        whole = all(said.get("finishReason") for said in self._candidates.values())
        blocked = _object(self._fields.get("promptFeedback")).get("blockReason")
        if not (whole and (self._candidates or blocked)):
            message = "the stream ended before the answer did"
            return Disconnected(message, status=self._head.status)
        candidates = [self._candidates[at] for at in sorted(self._candidates)]
        return google_wire.read_fields(self._head, {**self._fields, "candidates": candidates})

    def _add(self, candidate: Fields) -> Iterator[Piece]:
        index = candidate.get("index")
        at = index if isinstance(index, int) else 0
        said = self._candidates.setdefault(at, {"index": at, "content": {"parts": []}})
        if isinstance(candidate.get("finishReason"), str):
            said["finishReason"] = candidate["finishReason"]
        new = _object(candidate.get("content")).get("parts")
        for item in cast("list[object]", new) if isinstance(new, list) else []:
            part = _object(item)
            said["content"]["parts"].append(part)
            text = part.get("text")
            if isinstance(text, str) and text and not part.get("thought"):
                yield Piece(text, at)


def _read(head: Answer, data: str) -> Fields:
    try:
        fields = storable(json.loads(data))
    except (ValueError, RecursionError):
        fields = None
    if isinstance(fields, dict):
        return cast("Fields", fields)
    event = Answer(head.status, data.encode(), head.headers)
    raise bad_answer(event, "an event of the stream is no JSON object")


def _object(value: object) -> Fields:
    return cast("Fields", value) if isinstance(value, dict) else {}
