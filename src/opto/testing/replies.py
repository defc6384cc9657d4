"""Good replies of a provider, as chat completions have them: whole, and in events."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_WORDS = re.compile(r"\S+\s*|\s+")
DONE = b"data: [DONE]\n\n"


def completion_json(text: str, model: str = "served") -> dict[str, Any]:
    """A good reply, as the protocol has it."""
    words = len(text.split())
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": text},
    }
    usage = {"prompt_tokens": 7, "completion_tokens": words, "total_tokens": 7 + words}
    return {
        "id": "chatcmpl-served",
        "object": "chat.completion",
        "model": model,
        "choices": [choice],
        "usage": usage,
    }


def stream_events(
    reply: str | Mapping[str, Any], *, usage: bool = True
) -> list[bytes | Mapping[str, Any]]:
    """The events in which a provider streams a reply: a word each, the end, and the tokens.

    Args:
        reply: its text, or the whole as of `completion_json`.
        usage: whether the request asked for the tokens.
    """
    whole = completion_json(reply) if isinstance(reply, str) else dict(reply)
    common: dict[str, Any] = {"object": "chat.completion.chunk"}
    common |= {name: whole[name] for name in ("id", "model") if name in whole}
    events: list[bytes | Mapping[str, Any]] = []
    for at, choice in enumerate(whole["choices"]):
        message = dict(choice.get("message") or {})
        content = message.pop("content", None)
        words = _WORDS.findall(content) if isinstance(content, str) else [content]
        deltas = [{"role": "assistant", "content": "", **message}]
        deltas += [{"content": word} for word in words if word is not None]
        reasons = [None] * len(deltas) + [choice.get("finish_reason") or "stop"]
        for delta, reason in zip([*deltas, {}], reasons, strict=True):
            part = {"index": choice.get("index", at), "delta": delta, "finish_reason": reason}
            events.append({**common, "choices": [part]})
    if usage and "usage" in whole:
        events.append({**common, "choices": [], "usage": whole["usage"]})
    return [*events, DONE]


def event_bytes(event: bytes | Mapping[str, Any]) -> bytes:
    """An event as it is sent; bytes are sent as they are."""
    if isinstance(event, bytes):
        return event
    return b"data: " + json.dumps(event).encode() + b"\n\n"
