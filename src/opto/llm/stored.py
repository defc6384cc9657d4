"""Completions as plain data, and the key under which the answer to a request is kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from opto.llm.base import Choice, Completion, Message, Usage
from opto.llm.steps import Request
from opto.llm.storable import storable

VERSION = 1
_UNIMPORTANT = frozenset({"timeout", "sample"})


def as_data(reply: Completion) -> dict[str, Any]:
    """What is kept of a completion; the provider's own reply isn't."""
    return {
        "choices": [asdict(choice) for choice in reply.choices],
        "usage": asdict(reply.usage),
        "model": reply.model,
        "id": reply.id,
    }


def from_data(data: Mapping[str, Any]) -> Completion:
    """The completion again; raises `KeyError`, `TypeError` or `ValueError` if it is none."""
    choices = [
        Choice(
            _message(choice["message"]),
            choice["finish_reason"],
            choice["index"],
        )
        for choice in data["choices"]
    ]
    if not choices:
        message = "a completion without choices"
        raise ValueError(message)
    return Completion(tuple(choices), Usage(**data["usage"]), data["model"], data["id"])


def _message(data: Mapping[str, Any]) -> Message:
    calls = tuple(data["tool_calls"])
    return Message(data["role"], data["content"], calls, data["repaired"])


def key_of(model: object, request: Request) -> str:
    """A hash of everything that matters for the answer, the same in every process.

    Args:
        model: what is asked: name, provider and URL, and the options that it adds, count.
        request: ``timeout`` and ``sample`` don't count.

    Raises:
        TypeError: if an option is no plain data.
    """
    options = {**_options_of(model), **request.options}
    counted = {
        "version": VERSION,
        "model": [str(getattr(model, name, "")) for name in ("provider", "model_name", "base_url")],
        "messages": [dict(message) for message in request.messages],
        "options": {
            name: value
            for name, value in options.items()
            if value is not None and name not in _UNIMPORTANT
        },
    }
    text = json.dumps(storable(counted), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _options_of(model: object) -> dict[str, Any]:
    found = getattr(model, "options", None)
    return dict(found) if isinstance(found, Mapping) else {}
