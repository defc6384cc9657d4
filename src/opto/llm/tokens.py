"""How many tokens a request may take, told before it is sent and without a tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from opto.llm.base import ChatMessage
from opto.llm.steps import Request

ANSWER_TOKENS = 1024
"""What an answer is taken to need if the request doesn't limit it."""
_BYTES_PER_TOKEN = 2  # English has about 4 and dense text 2
_MESSAGE_TOKENS = 8
_IMAGE_TOKENS = 1600


def most_tokens(request: Request) -> int:
    """Tokens of prompt and answers together: an upper bound for texts of the usual kind."""
    return prompt_tokens(request.messages, request.options) + (
        answer_tokens(request.options) or ANSWER_TOKENS
    )


def answer_tokens(options: Mapping[str, Any]) -> int | None:
    """The most that all answers together may have; None if the request doesn't say."""
    given = options.get("max_completion_tokens") or options.get("max_tokens")
    return None if given is None else int(given) * int(options.get("n") or 1)


def prompt_tokens(messages: Sequence[ChatMessage], options: Mapping[str, Any] | None = None) -> int:
    """An upper bound for the prompt: twice what English text takes, and a share for each image."""
    size = sum(_of_content(message.get("content")) + _MESSAGE_TOKENS for message in messages)
    for name in ("response_format", "tools"):
        if options and options.get(name):
            size += _of_text(str(options[name]))
    return size


def _of_content(content: object) -> int:
    if isinstance(content, str):
        return _of_text(content)
    parts = cast("list[object]", content) if isinstance(content, (list, tuple)) else []
    return sum(_of_part(part) for part in parts)


def _of_part(part: object) -> int:
    fields = cast("dict[str, Any]", part) if isinstance(part, dict) else {"text": part}
    text = fields.get("text")
    return _of_text(text) if isinstance(text, str) else _IMAGE_TOKENS


def _of_text(text: str) -> int:
    return -(-len(text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN)
