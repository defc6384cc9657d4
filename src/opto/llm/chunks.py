"""The chunks in which chat completions are streamed, put together to what they'd be in one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

from opto.errors import BadResponse, Disconnected, ModelError
from opto.llm.base import Completion
from opto.llm.storable import storable
from opto.llm.stream import Piece
from opto.llm.wire import Answer, bad_answer, content_of, read_fields, stated_error

_END = "[DONE]"


class _Said:
    """One of the answers, as far as it has come."""

    def __init__(self) -> None:
        self.role = "assistant"
        self.texts: list[str] = []
        self.refusals: list[str] = []
        self.calls: dict[int, dict[str, Any]] = {}
        self.reason: str | None = None

    def take(self, delta: dict[str, Any]) -> str:
        """Add what is new; return its text."""
        role, refusal = delta.get("role"), delta.get("refusal")
        if isinstance(role, str):
            self.role = role
        if isinstance(refusal, str):
            self.refusals.append(refusal)
        for call in _objects(delta.get("tool_calls")):
            self._call(call)
        content = delta.get("content")
        text = "" if content is None else content_of(content)
        if text is None:
            message = f"a piece of the answer is of type {type(content).__name__!r}, not text"
            raise BadResponse(message)
        self.texts.append(text)
        return text

    def _call(self, new: dict[str, Any]) -> None:
        index = new.get("index")
        at = index if isinstance(index, int) else len(self.calls)
        call = self.calls.setdefault(at, {"type": "function", "function": {}})
        call.update((name, new[name]) for name in ("id", "type") if isinstance(new.get(name), str))
        for name, text in _object(new.get("function")).items():
            if isinstance(text, str):
                call["function"][name] = call["function"].get(name, "") + text

    def message(self) -> dict[str, Any]:
        """The message as it is in an answer that isn't streamed."""
        text = "".join(self.texts)
        return {
            "role": self.role,
            "content": text if text or self.reason else None,
            "refusal": "".join(self.refusals) or None,
            "tool_calls": [self.calls[at] for at in sorted(self.calls)],
        }


class Chunks:
    """Assembles one answer of OpenAI's protocol.

    It is whole when each choice has its ``finish_reason``. Without one it is, too, if the server
    says ``[DONE]``; what ends without either was cut off.
    """

    def __init__(self, head: Answer) -> None:
        self._head = head
        self._said: dict[int, _Said] = {}
        self._fields: dict[str, Any] = {}
        self.ended = False

    def take(self, event: str, data: str) -> Iterator[Piece]:
        """The pieces in a chunk."""
        if data.strip() == _END:
            self.ended = True
            return
        fields = self._read(data)
        if event == "error" or fields.get("error"):
            raise stated_error(self._head, fields)
        for name in ("id", "model", "usage"):
            if fields.get(name):
                self._fields[name] = fields[name]
        for choice in _objects(fields.get("choices")):
            index = choice.get("index")
            at = index if isinstance(index, int) else 0
            said = self._said.setdefault(at, _Said())
            text = said.take(_object(choice.get("delta")))
            reason = choice.get("finish_reason")
            said.reason = reason if isinstance(reason, str) else said.reason
            yield Piece(text, at)

    def completion(self) -> Completion | ModelError:
        """The whole."""
        whole = self._said and all(said.reason for said in self._said.values())
        if not (self.ended or whole):
            message = "the stream ended before the answer did"
            return Disconnected(message, status=self._head.status)
        choices = [
            {"index": at, "finish_reason": said.reason, "message": said.message()}
            for at, said in sorted(self._said.items())
        ]
        return read_fields(self._head, {**self._fields, "choices": choices})

    def _read(self, data: str) -> dict[str, Any]:
        try:
            fields = storable(json.loads(data))
        except (ValueError, RecursionError):
            fields = None
        if isinstance(fields, dict):
            return cast("dict[str, Any]", fields)
        event = Answer(self._head.status, data.encode(), self._head.headers)
        raise bad_answer(event, "an event of the stream is no JSON object")


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    items = cast("list[object]", value) if isinstance(value, list) else []
    return [_object(item) for item in items if isinstance(item, dict)]
