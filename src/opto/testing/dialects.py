"""Good replies by the path that is asked: OpenAI's, Anthropic's and Google's protocols."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from opto.testing.replies import completion_json, stream_events
from opto.testing.replies import event_bytes as event_bytes

_WORDS = re.compile(r"\S+\s*|\s+")


@dataclass(frozen=True)
class Dialect:
    """A protocol.

    Attributes:
        whole: a good reply of a text.
        events: that reply in events; its second argument is whether tokens were asked for.
        mark: what a good reply has.
    """

    whole: Callable[[str], Mapping[str, Any]]
    events: Callable[[Mapping[str, Any], bool], list[Any]]
    mark: str

    def streams(self, path: str, body: Mapping[str, Any]) -> bool:
        """Whether a request wants events."""
        return bool(body.get("stream")) or ":streamGenerateContent" in path


def dialect_of(path: str) -> Dialect:
    """The protocol whose requests go to that path."""
    if path.endswith("/messages"):
        return Dialect(message_json, lambda reply, _: message_events(reply), "content")
    if ":generateContent" in path or ":streamGenerateContent" in path:
        return Dialect(candidates_json, lambda reply, _: candidates_events(reply), "candidates")
    return Dialect(
        completion_json, lambda reply, asked: list(stream_events(reply, usage=asked)), "choices"
    )


def message_json(text: str, model: str = "served") -> dict[str, Any]:
    """A good reply of Anthropic's Messages API."""
    return {
        "id": "msg_served",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 7, "output_tokens": len(text.split())},
    }


def candidates_json(text: str, model: str = "served") -> dict[str, Any]:
    """A good reply of Google's ``generateContent``."""
    words = len(text.split())
    content = {"role": "model", "parts": [{"text": text}]}
    return {
        "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 7,
            "candidatesTokenCount": words,
            "totalTokenCount": 7 + words,
        },
        "modelVersion": model,
        "responseId": "served",
    }


def message_events(reply: str | Mapping[str, Any]) -> list[bytes]:
    """The events in which Anthropic's Messages API streams a reply, a word each."""
    whole = message_json(reply) if isinstance(reply, str) else dict(reply)
    usage = whole.get("usage") or {}
    begun = {**whole, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": begun}]
    for at, block in enumerate(whole["content"]):
        empty, deltas = _parts_of_block(block)
        events.append({"type": "content_block_start", "index": at, "content_block": empty})
        events += [{"type": "content_block_delta", "index": at, "delta": one} for one in deltas]
        events.append({"type": "content_block_stop", "index": at})
    ended = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    spent = {"output_tokens": usage.get("output_tokens", 0)}
    events.append({"type": "message_delta", "delta": ended, "usage": spent})
    events.append({"type": "message_stop"})
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]


def candidates_events(reply: str | Mapping[str, Any]) -> list[bytes]:
    """The events in which Google's ``streamGenerateContent`` streams a reply, a word each."""
    whole = candidates_json(reply) if isinstance(reply, str) else dict(reply)
    common: dict[str, Any] = {
        name: whole[name] for name in ("modelVersion", "responseId") if name in whole
    }
    events: list[dict[str, Any]] = []
    for candidate in whole["candidates"]:
        index = candidate.get("index", 0)
        for part in candidate["content"]["parts"]:
            words = _WORDS.findall(part["text"]) if set(part) == {"text"} else []
            for piece in [{"text": word} for word in words] or [part]:
                content = {"role": "model", "parts": [piece]}
                events.append({**common, "candidates": [{"index": index, "content": content}]})
        end = {"index": index, "finishReason": candidate.get("finishReason", "STOP")}
        events.append({**common, "candidates": [end]})
    events[-1]["usageMetadata"] = whole.get("usageMetadata")
    return [f"data: {json.dumps(event)}\r\n\r\n".encode() for event in events]


def _parts_of_block(block: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block as it begins, and what is added to it."""
    if block["type"] == "text":
        words = _WORDS.findall(block["text"])
        return {**block, "text": ""}, [{"type": "text_delta", "text": word} for word in words]
    if block["type"] == "tool_use":
        text = json.dumps(block["input"])
        half = len(text) // 2
        pieces = ("", text[:half], text[half:])
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
        return {**block, "input": {}}, deltas
    if block["type"] == "thinking":
        thought = {"type": "thinking_delta", "thinking": block["thinking"]}
        signed = {"type": "signature_delta", "signature": block.get("signature", "")}
        return {**block, "thinking": "", "signature": ""}, [thought, signed]
    return dict(block), []
