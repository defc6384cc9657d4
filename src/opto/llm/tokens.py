"""How many tokens a request may take, told before it is sent and without a tokenizer.

There are two answers: what is likely, for those who pace requests and are corrected later, and the
most that it can be, for budgets. Tokenizers of today's models make at most one token of a byte.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from opto.llm.base import ChatMessage
from opto.llm.steps import Request

ANSWER_TOKENS = 1024
"""What an answer is taken to need if the request doesn't limit it."""
_BYTES_PER_TOKEN = 2  # English has about 4 and dense text 2
_MESSAGE_TOKENS = 8
_IMAGE_TOKENS = 1600
_MOST_A_CALL = 80  # what templates and services put before a conversation
_MOST_A_MESSAGE = 16  # its role and marks
_MOST_AN_IMAGE = 40_000  # gpt-4o-mini counts as many for a large one
_MOST_FOR_TOOLS = 1024  # services explain to the model what tools are
_ROLE = len('{"role": ""}')
_RENDERED = 2  # schemas may be written out longer than they were sent


def likely_tokens(request: Request) -> int:
    """Tokens of prompt and answers together: enough for texts of the usual kind."""
    return prompt_tokens(request.messages, request.options) + (
        answer_tokens(request.options) or ANSWER_TOKENS
    )


def answer_tokens(options: Mapping[str, Any]) -> int | None:
    """The most that all answers together may have; None if the request doesn't say."""
    limits = [options.get(name) for name in ("max_completion_tokens", "max_tokens")]
    given = [int(limit) for limit in limits if limit is not None]
    return max(given) * int(options.get("n") or 1) if given else None


def most_prompt_tokens(messages: Sequence[ChatMessage], options: Mapping[str, Any]) -> int:
    """The most that a service can count for the prompt: a token a byte, and what it adds."""
    most = _MOST_A_CALL + sum(_most_of(message) for message in messages)
    for name in ("response_format", "tools", "functions"):
        if options.get(name):
            most += _MOST_FOR_TOOLS + _RENDERED * _size(options[name])
    return most


def _most_of(message: ChatMessage) -> int:
    content = message.get("content")
    role = message.get("role")
    if len(message) == 2 and isinstance(content, str) and isinstance(role, str):  # as most are
        return _MOST_A_MESSAGE + _ROLE + len(role) + _most_of_part(content)
    others = {name: value for name, value in message.items() if name != "content"}
    parts = cast("Sequence[object]", content) if isinstance(content, (list, tuple)) else [content]
    return _MOST_A_MESSAGE + _size(others) + sum(_most_of_part(part) for part in parts)


def _most_of_part(part: object) -> int:
    if part is None or isinstance(part, str):
        return len((part or "").encode("utf-8", "replace"))
    fields = cast("dict[str, Any]", part) if isinstance(part, dict) else {}
    image = str(fields.get("type", "")).endswith(("image_url", "image"))
    return _MOST_AN_IMAGE if image or "image_url" in fields else _size(fields or part)


def _size(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "replace"))


def prompt_tokens(messages: Sequence[ChatMessage], options: Mapping[str, Any] | None = None) -> int:
    """What a prompt likely takes at most: twice what English does, and a share for each image."""
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
